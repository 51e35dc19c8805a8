package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// MaxHeaderBytes bounds a PROXY header. Addresses take 52 bytes; the rest is for
// what proxies tell of TLS and of their cloud, which is skipped.
const MaxHeaderBytes = 4096

const (
	maxTextBytes = 107 // a header of version 1, its end included
	fixedBytes   = 16  // of one of version 2, before the addresses
)

var (
	// ErrIncomplete says that more bytes decide.
	ErrIncomplete = errors.New("the PROXY header is not complete")

	// ErrNone says that the bytes begin no PROXY header.
	ErrNone = errors.New("there is no PROXY header")
)

// Header is a PROXY header.
type Header struct {
	Size int // bytes; what is behind them is the client's first

	// Client is the zero value when the proxy speaks for itself, or does not know.
	Client netip.AddrPort
}

var (
	textSignature   = []byte("PROXY ")
	binarySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// ReadHeader reads the PROXY header at the beginning of view, of version 1 or 2.
// Errors other than the two above say what is wrong with it.
//
// PROXY protocol, section 2.
func ReadHeader(view []byte) (Header, error) {
	for _, s := range [][]byte{textSignature, binarySignature} {
		n := min(len(view), len(s))
		switch {
		case !bytes.Equal(view[:n], s[:n]):
			continue
		case n < len(s):
			return Header{}, ErrIncomplete
		case s[0] == 'P':
			return readText(view)
		}
		return readBinary(view)
	}
	return Header{}, ErrNone
}

// readText reads version 1, a line:
//
//	PROXY TCP4 192.0.2.1 192.0.2.2 51234 443\r\n
//
// PROXY protocol, section 2.1.
func readText(view []byte) (Header, error) {
	view = view[:min(len(view), maxTextBytes)]
	end := bytes.Index(view, []byte("\r\n"))
	switch {
	case end < 0 && len(view) == maxTextBytes:
		return Header{}, fmt.Errorf("the PROXY line exceeds %d bytes", maxTextBytes)
	case end < 0:
		return Header{}, ErrIncomplete
	}
	h := Header{Size: end + len("\r\n")}
	fields := bytes.Split(view[len(textSignature):end], []byte(" "))
	family := string(fields[0])
	if family == "UNKNOWN" {
		return h, nil
	}
	if family != "TCP4" && family != "TCP6" || len(fields) != 5 {
		return Header{}, fmt.Errorf("the PROXY line %q is not TCP4 or TCP6 with two addresses and two ports, nor UNKNOWN", view[:end])
	}
	client, err := textAddress(fields[1], fields[3], family == "TCP6")
	if err == nil {
		_, err = textAddress(fields[2], fields[4], family == "TCP6")
	}
	h.Client = client
	return h, err
}

func textAddress(address, port []byte, is6 bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(string(address))
	if err != nil || a.Is6() != is6 || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("address %q of the PROXY line is not of its family", address)
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != string(port) {
		return netip.AddrPort{}, fmt.Errorf("port %q of the PROXY line is not 0 to 65535", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// readBinary reads version 2:
//
//	12 signature | 1 version, command | 1 family, transport | 2 length | addresses | more
//
// PROXY protocol, section 2.2.
func readBinary(view []byte) (Header, error) {
	if len(view) < fixedBytes {
		return Header{}, ErrIncomplete
	}
	versionCommand, family := view[12], view[13]
	h := Header{Size: fixedBytes + int(binary.BigEndian.Uint16(view[14:]))}
	switch {
	case versionCommand != 0x20 && versionCommand != 0x21:
		return Header{}, fmt.Errorf("the PROXY header has version and command %#02x, want 0x20 or 0x21", versionCommand)
	case h.Size > MaxHeaderBytes:
		return Header{}, fmt.Errorf("the PROXY header has %d bytes, %d is the most", h.Size, MaxHeaderBytes)
	}
	addressBytes := 0
	switch family {
	case 0x00: // not told
	case 0x11, 0x12: // TCP and UDP over IPv4
		addressBytes = 4
	case 0x21, 0x22: // over IPv6
		addressBytes = 16
	case 0x31, 0x32: // a Unix socket's: a path is nobody's address
	default:
		return Header{}, fmt.Errorf("the PROXY header has address family %#02x", family)
	}
	if least := fixedBytes + 2*(addressBytes+2); addressBytes > 0 && h.Size < least {
		return Header{}, fmt.Errorf("the PROXY header has %d bytes, want %d or more for its addresses", h.Size, least)
	}
	if len(view) < h.Size {
		return Header{}, ErrIncomplete
	}
	if versionCommand == 0x20 || addressBytes == 0 {
		return h, nil // the proxy's own, a check of health for example
	}
	a, _ := netip.AddrFromSlice(view[fixedBytes:][:addressBytes])
	h.Client = netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(view[fixedBytes+2*addressBytes:]))
	return h, nil
}
