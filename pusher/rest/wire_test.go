package rest

import (
	"fmt"
	"strings"
	"testing"
)

const wireBody = `{"name":"e","channel":"a","data":"x"}`

// post is a signed trigger of wireBody with some headers and a body as it goes
// over the wire.
func post(headers, body string) string {
	return "POST " + eventsPath + "?" + sign("POST", eventsPath, nil, wireBody) + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body
}

func TestWire(t *testing.T) {
	length := fmt.Sprintf("Content-Length: %d\r\n", len(wireBody))
	chunked := fmt.Sprintf("10\r\n%s\r\n%x;name=value\r\n%s\r\n0\r\n\r\n", wireBody[:16], len(wireBody)-16, wireBody[16:])
	const up = "GET /up HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := []struct {
		name     string
		methods  string
		text     string
		statuses []int
		closed   bool // by the server, after the last response
		events   int
	}{
		{"three_requests_in_one_write", "POST,GET,POST", post(length, wireBody) + up + post(length, wireBody), []int{200, 200, 200}, false, 2},
		{"requests_after_a_refusal", "GET,GET,GET", "GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET " + eventsPath + " HTTP/1.1\r\nHost: x\r\n\r\n" + up, []int{404, 405, 200}, false, 0},
		{"a_refused_body_is_not_the_next_request", "POST,GET", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 28\r\n\r\n" + up + up, []int{404, 200}, false, 0},
		{"a_chunked_body", "POST,GET", post("Transfer-Encoding: chunked\r\n", chunked) + up, []int{200, 200}, false, 1},
		{"a_chunked_body_with_a_trailer", "POST", post("Transfer-Encoding: Chunked\r\n", strings.TrimSuffix(chunked, "\r\n")+"X-Sum: 1\r\n\r\n") + up, []int{200}, true, 1},
		{"Expect_100-continue", "POST,POST,GET", post(length+"Expect: 100-continue\r\n", wireBody) + up, []int{100, 200, 200}, false, 1},
		{"Connection_close", "POST", post(length+"Connection: close\r\n", wireBody), []int{200}, true, 1},
		{"Connection_close_before_another_request", "POST", post(length+"Connection: close\r\n", wireBody) + up, []int{200}, true, 1},
		{"HTTP_1.0_closes", "GET", "GET /up HTTP/1.0\r\n\r\n", []int{200}, true, 0},
		{"HTTP_1.0_keep-alive", "GET,GET", strings.Repeat("GET /up HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2), []int{200, 200}, false, 0},
		{"a_GET_with_a_body", "GET,GET", "GET /up HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + up, []int{200, 200}, false, 0},
		{"an_oversized_body", "POST", post("Content-Length: 10001\r\n", strings.Repeat("x", 10_001)), []int{413}, true, 0},
		{"an_oversized_body_that_is_only_announced", "POST", post("Content-Length: 99999999\r\n", ""), []int{413}, true, 0},
		{"an_oversized_chunked_body", "POST", post("Transfer-Encoding: chunked\r\n", "ffff\r\n"+strings.Repeat("x", 0xffff)+"\r\n0\r\n\r\n"), []int{413}, true, 0},
		{"an_oversized_body_that_asks_first", "POST,POST", post("Content-Length: 10001\r\nExpect: 100-continue\r\n", ""), []int{100, 413}, true, 0},
		{"huge_headers", "GET", "GET /up HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n", []int{431}, true, 0},
		{"a_huge_target", "GET", "GET /up?" + strings.Repeat("x", 9000) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}, true, 0},
		{"headers_that_fit", "GET", "GET /up HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 8000) + "\r\n\r\n", []int{200}, false, 0},
		{"no_Host", "GET", "GET /up HTTP/1.1\r\n\r\n", []int{400}, true, 0},

		// Requests that two servers may read with different boundaries.
		{"CL_and_TE", "POST", post(length+"Transfer-Encoding: chunked\r\n", chunked), []int{400}, true, 0},
		{"TE_and_CL", "POST", post("Transfer-Encoding: chunked\r\n"+length, chunked), []int{400}, true, 0},
		{"CL_and_TE_identity", "POST", post(length+"Transfer-Encoding: identity\r\n", wireBody), []int{400}, true, 0},
		{"TE_identity", "POST", post("Transfer-Encoding: identity\r\n", ""), []int{400}, true, 0},
		{"CL_twice", "POST", post(length+length, wireBody), []int{400}, true, 0},
		{"CL_twice_with_other_values", "POST", post(length+"Content-Length: 0\r\n", wireBody), []int{400}, true, 0},
		{"CL_as_a_list", "POST", post("Content-Length: 37, 37\r\n", wireBody), []int{400}, true, 0},
		{"CL_with_a_sign", "POST", post("Content-Length: +37\r\n", wireBody), []int{400}, true, 0},
		{"CL_negative", "POST", post("Content-Length: -1\r\n", wireBody), []int{400}, true, 0},
		{"CL_in_hex", "POST", post("Content-Length: 0x25\r\n", wireBody), []int{400}, true, 0},
		{"CL_that_overflows", "POST", post("Content-Length: 18446744073709551653\r\n", wireBody), []int{400}, true, 0},
		{"CL_empty", "POST", post("Content-Length:\r\n", wireBody), []int{400}, true, 0},
		{"CL_with_a_space_before_the_colon", "POST", post("Content-Length : 37\r\n", wireBody), []int{400}, true, 0},
		{"TE_twice", "POST", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked), []int{400}, true, 0},
		{"TE_as_a_list", "POST", post("Transfer-Encoding: gzip, chunked\r\n", chunked), []int{400}, true, 0},
		{"TE_unknown", "POST", post("Transfer-Encoding: xchunked\r\n", chunked), []int{400}, true, 0},
		{"TE_in_HTTP_1.0", "POST", strings.Replace(post("Transfer-Encoding: chunked\r\n", chunked), "HTTP/1.1", "HTTP/1.0", 1), []int{400}, true, 0},
		{"TE_folded", "POST", post("Transfer-Encoding:\r\n chunked\r\n", chunked), []int{400}, true, 0},
		{"a_chunk_size_with_a_sign", "POST", post("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n"), []int{400}, true, 0},
		{"a_chunk_size_that_is_no_number", "POST", post("Transfer-Encoding: chunked\r\n", "zz\r\nhello\r\n0\r\n\r\n"), []int{400}, true, 0},
		{"a_chunk_size_that_overflows", "POST", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), []int{400}, true, 0},
		{"a_chunk_longer_than_its_size", "POST", post("Transfer-Encoding: chunked\r\n", "2\r\nhello\r\n0\r\n\r\n"), []int{400}, true, 0},
		{"a_header_without_a_colon", "GET", "GET /up HTTP/1.1\r\nHost: x\r\nBroken\r\n\r\n", []int{400}, true, 0},
		{"a_zero_byte_in_a_header", "GET", "GET /up HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", []int{400}, true, 0},
		{"Host_twice", "GET", "GET /up HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", []int{400}, true, 0},
		{"an_unknown_version", "GET", "GET /up HTTP/3.7\r\nHost: x\r\n\r\n", []int{400}, true, 0},
		{"no_version", "GET", "GET /up\r\nHost: x\r\n\r\n", []int{400}, true, 0},
		{"garbage", "GET", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			got := f.raw(tt.methods, tt.text)
			for i, want := range tt.statuses {
				if got[i].status != want {
					t.Errorf("response %d: %d %q, want %d", i, got[i].status, got[i].body, want)
				}
			}
			if last := got[len(got)-1]; last.closed != tt.closed {
				t.Errorf("the connection closes: %v, want %v (%q)", last.closed, tt.closed, last.body)
			}
			if n := len(f.events()); n != tt.events {
				t.Errorf("%d events, want %d", n, tt.events)
			}
		})
	}
}

// TestConnectionsGoElsewhereWhileTheNodeDrains: whoever keeps one open would otherwise
// send a request while the node closes it.
func TestConnectionsGoElsewhereWhileTheNodeDrains(t *testing.T) {
	f := newFixture(t, nil)
	f.node.Drain()
	if got := f.raw("POST", post(fmt.Sprintf("Content-Length: %d\r\n", len(wireBody)), wireBody))[0]; got.status != 200 || !got.closed {
		t.Errorf("answered %d, the connection closes: %v; want an answer and the end", got.status, got.closed)
	}
	if n := len(f.events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}
