package floor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// ready is the first line a floor process writes.
type ready struct {
	Port int `json:"port"`
}

// Serve runs a bare WebSocket server in this process: it writes its port to output
// and then broadcasts each Publication read from input, until input ends. The last
// thing it writes is its Counts.
func Serve(input io.Reader, output io.Writer, o Options) error {
	s, err := Listen(o)
	if err != nil {
		return err
	}
	defer s.Close()
	// The threads and the reader of input; the threads are never made to share.
	runtime.GOMAXPROCS(len(s.threads) + 1)
	encoder := json.NewEncoder(output)
	if err := encoder.Encode(ready{Port: s.Port()}); err != nil {
		return fmt.Errorf("write port: %w", err)
	}
	for decoder := json.NewDecoder(input); ; {
		var p Publication
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return encoder.Encode(s.Counts())
		} else if err != nil {
			return fmt.Errorf("read publication: %w", err)
		}
		s.Publish(p)
	}
}
