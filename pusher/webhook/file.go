package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileStore is a Store in one file, a line of JSON for each event. The file has
// mode 0600, because client events may be private, and is there only between a
// Save and the next Load. Processes may share it, as two do in a restart: they
// take turns by a lock of its directory.
type FileStore struct {
	// Path is the file. Its directory must exist. Path + ".taken" is used while
	// loading, Path + ".broken" keeps a file with lines that are no events.
	Path string
}

// Save replaces the file by one that has the old lines and the new ones.
func (s FileStore) Save(events []Kept) (err error) {
	if len(events) == 0 {
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	text, err := os.ReadFile(s.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	b := bytes.NewBuffer(text)
	encoder := json.NewEncoder(b) // ends each value with a line feed
	for i := range events {
		if err := encoder.Encode(&events[i]); err != nil {
			return err
		}
	}
	return s.replace(b.Bytes())
}

// replace makes text the file's content, or leaves the file as it was.
func (s FileStore) replace(text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(s.Path), filepath.Base(s.Path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), s.Path)
	}
	return err
}

// Load takes the file away before it reads it: of one that a process ended over
// nothing is lost, at worst some events come twice.
func (s FileStore) Load() ([]Kept, error) {
	unlock, err := s.lock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	taken := s.Path + ".taken"
	// A process that ended while loading left this.
	events, err := s.consume(taken)
	if _, statErr := os.Lstat(taken); statErr == nil {
		return events, err // what could not be read must not be replaced
	}
	if renameErr := os.Rename(s.Path, taken); renameErr != nil {
		if errors.Is(renameErr, fs.ErrNotExist) {
			renameErr = nil
		}
		return events, errors.Join(err, renameErr)
	}
	more, moreErr := s.consume(taken)
	return append(events, more...), errors.Join(err, moreErr)
}

// lock waits until no other process saves or loads. It returns fs.ErrNotExist
// without a directory.
func (s FileStore) lock() (unlock func(), err error) {
	directory, err := os.Open(filepath.Dir(s.Path))
	if err != nil {
		return nil, err
	}
	// A file system without locks is no reason to lose events.
	for syscall.Flock(int(directory.Fd()), syscall.LOCK_EX) == syscall.EINTR {
	}
	return func() { _ = directory.Close() }, nil // which ends the lock
}

// consume reads and removes the file at path, if there is one.
func (s FileStore) consume(path string) (events []Kept, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	broken, first := 0, 0
	number := 0
	for line := range bytes.Lines(text) {
		number++
		var k Kept
		if json.Unmarshal(line, &k) != nil || k.AppID == "" || len(k.Event) == 0 {
			if broken++; broken == 1 {
				first = number
			}
			continue
		}
		events = append(events, k)
	}
	if broken == 0 {
		return events, os.Remove(path)
	}
	aside := s.Path + ".broken"
	err = fmt.Errorf("%d of %d lines are no events, the first is line %d; the file is kept as %s", broken, number, first, aside)
	return events, errors.Join(err, os.Rename(path, aside))
}
