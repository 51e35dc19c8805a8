package loop

import (
	"net"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// peerFields are the places at which gnet's connection keeps the peer's address,
// twice: 80 bytes in two objects that hardly anybody asks for and that the kernel
// knows too. gnet offers no way to do without. The zero value is no place.
//
// docs/adr/0006-bytes-of-a-connection.md has the reasons.
type peerFields struct{ sockaddr, addr uintptr }

// findPeerFields looks the places up in the type of a connection. It answers zero
// when they are not what they were in the version of gnet this was written for:
// the addresses then stay, which costs memory and nothing else.
func findPeerFields(g gnet.Conn) peerFields {
	t := reflect.TypeOf(g)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return peerFields{}
	}
	sockaddr, hasSockaddr := t.Elem().FieldByName("remote")
	addr, hasAddr := t.Elem().FieldByName("remoteAddr")
	if !hasSockaddr || !hasAddr || sockaddr.Type != reflect.TypeFor[unix.Sockaddr]() || addr.Type != reflect.TypeFor[net.Addr]() {
		return peerFields{}
	}
	return peerFields{sockaddr.Offset, addr.Offset}
}

// forget drops the peer's address. g is of the type the places were found in.
// Its RemoteAddr is nil from then on.
func (f peerFields) forget(g gnet.Conn) {
	if f == (peerFields{}) {
		return
	}
	at := reflect.ValueOf(g).UnsafePointer()
	*(*unix.Sockaddr)(unsafe.Add(at, f.sockaddr)) = nil
	*(*net.Addr)(unsafe.Add(at, f.addr)) = nil
}

// remoteAddr is the peer's address. It is empty when the connection is broken.
func remoteAddr(g gnet.Conn) net.Addr {
	if a := g.RemoteAddr(); a != nil {
		return a
	}
	sa, _ := unix.Getpeername(g.Fd())
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port, Zone: zone(sa.ZoneId)}
	}
	return &net.TCPAddr{}
}

// zone is the name of a network interface, or its number when it has none.
func zone(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
