package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// lockTimeout is how long the file may be in use by another process before it is
// given up, for now.
const lockTimeout = 500 * time.Millisecond

// brokenSuffix is what the name of a broken file gets. There is one at most.
const brokenSuffix = ".broken"

var buckets = map[int64][]byte{FineStep: []byte("10s"), CoarseStep: []byte("1m")}

// errInUse says that another process has the file.
var errInUse = errors.New("another server uses the file")

// errBroken says that the bytes of a file are not what was written.
var errBroken = errors.New("broken")

// openFile opens or makes a file and looks at every point in it. The file is that
// of db.
func openFile(path string, maxBytes int) (db *bbolt.DB, file *os.File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	err = guarded(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      lockTimeout,
			FreelistType: bbolt.FreelistMapType,
			MaxSize:      maxBytes,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		if err != nil {
			return err
		}
		if err := db.View(checkAll); err != nil {
			return err
		}
		return db.Update(func(tx *bbolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err == nil {
		return db, file, nil
	}
	if file != nil { // a panic leaves it open, and locked
		_ = unix.Flock(int(file.Fd()), unix.LOCK_UN)
		_ = file.Close()
	}
	return nil, nil, classify(err)
}

// classify adds errBroken to errors that no other moment would take away.
func classify(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errInUse
	case errors.As(err, &errno), errors.Is(err, bolterrors.ErrMaxSizeReached):
		return err
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// guarded turns a panic of f, and a fault of memory that the file no longer backs,
// into errBroken.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errBroken, v)
		}
	}()
	return f()
}

// checkAll reads every point. It makes nothing of them: with many apps that would take
// seconds of the start.
func checkAll(tx *bbolt.Tx) error {
	none := make(map[string]string)
	for _, name := range buckets {
		b := tx.Bucket(name)
		if b == nil {
			continue
		}
		var last []byte
		c := b.Cursor()
		for key, value := c.First(); key != nil; key, value = c.Next() {
			if len(key) != 8 || last != nil && bytes.Compare(last, key) >= 0 {
				return errBrokenValues
			}
			if _, err := readSome(value, none); err != nil {
				return err
			}
			last = key
		}
	}
	return nil
}

// moveAside makes room for a new file.
func moveAside(path string) (to string, err error) {
	to = path + brokenSuffix
	return to, os.Rename(path, to)
}

func keyOf(at int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(at)) }

func timeOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key)) }

// get returns the values of a point, or nil when there is none.
func get(tx *bbolt.Tx, step, at int64) (map[string]float64, error) {
	value := tx.Bucket(buckets[step]).Get(keyOf(at))
	if value == nil {
		return nil, nil
	}
	return readValues(value)
}

func put(tx *bbolt.Tx, step, at int64, values map[string]float64) error {
	b := tx.Bucket(buckets[step])
	b.FillPercent = 0.9 // keys only grow
	return b.Put(keyOf(at), appendValues(nil, values))
}

// maxPruned is how many points one write takes away, so that it stays short.
const maxPruned = 1024

// prune takes away what is older than it is kept for.
func prune(tx *bbolt.Tx, now time.Time) error {
	for step, name := range buckets {
		oldest := keyOf(now.Add(-keptFor(step)).Unix())
		c := tx.Bucket(name).Cursor()
		for n := 0; n < maxPruned; n++ {
			key, _ := c.First()
			if key == nil || bytes.Compare(key, oldest) >= 0 {
				break
			}
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	return nil
}

// refreshMinute makes the coarse point of a fine one anew.
func refreshMinute(tx *bbolt.Tx, at int64) error {
	minute := at - at%CoarseStep
	var points []map[string]float64
	for t := minute; t < minute+CoarseStep; t += FineStep {
		values, err := get(tx, FineStep, t)
		if err != nil {
			return err
		}
		if values != nil {
			points = append(points, values)
		}
	}
	return put(tx, CoarseStep, minute, mean(points))
}
