package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// defaultEnvFile is read when it exists and no other is named.
const defaultEnvFile = ".env"

// maxFileBytes bounds the files that are read; a larger one is a mistake.
const maxFileBytes = 1 << 20

// content is a file that was read; without a name there was none.
type content struct {
	name string
	src  []byte
}

// readEnvFile reads the .env file that a flag names, or the default one when
// it is there.
func readEnvFile(named, dir string) (content, error) {
	name := named
	if name == "" {
		name = defaultEnvFile
	}
	src, err := readFile(inDir(dir, name))
	if err == nil {
		return content{name, src}, nil
	}
	if named == "" && isNoFile(inDir(dir, name), err) {
		return content{}, nil
	}
	return content{}, fmt.Errorf("environment file: %w", err)
}

// readConfigFile reads the configuration file that a flag names, if it does.
func readConfigFile(named, dir string) (content, error) {
	if named == "" {
		return content{}, nil
	}
	src, err := readFile(inDir(dir, named))
	if err != nil {
		return content{}, fmt.Errorf("configuration file: %w", err)
	}
	return content{named, src}, nil
}

// readFile returns the bytes of a file of at most maxFileBytes.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(src) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFileBytes)
	}
	return src, nil
}

// isNoFile reports whether there is nothing to read under the default name:
// no file, or a directory such as Python tools make.
func isNoFile(path string, err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	stat, statErr := os.Stat(path)
	return statErr == nil && stat.IsDir()
}

// inDir returns name as seen from dir.
func inDir(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
