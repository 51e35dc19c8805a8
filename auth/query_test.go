package auth

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const md5OfBody = "ec365a775a4cd0599faeb73354201b6f"

func TestCanonical(t *testing.T) {
	const usual = "auth_key=k&auth_timestamp=1&auth_version=1.0"
	tests := []struct {
		name    string
		query   string
		bodyMD5 string
		want    string // the last line
	}{
		{"the usual query of a trigger", usual + "&body_md5=" + md5OfBody + "&auth_signature=s", md5OfBody, usual + "&body_md5=" + md5OfBody},
		{"another order", "body_md5=x&auth_signature=s&auth_version=1.0&auth_timestamp=1&auth_key=k", md5OfBody, usual + "&body_md5=" + md5OfBody},
		{"no body", usual + "&auth_signature=s", "", usual},
		{"a digest the query does not have", usual, md5OfBody, usual + "&body_md5=" + md5OfBody},
		{"a digest for which there is no body", usual + "&body_md5=x", "", usual},
		{"a digest between others", "a=1&c=2", md5OfBody, "a=1&body_md5=" + md5OfBody + "&c=2"},
		{"only a digest", "", md5OfBody, "body_md5=" + md5OfBody},
		{"nothing", "", "", ""},
		{"upper-case keys", "INFO=user_count&Auth_Key=k", "", "auth_key=k&info=user_count"},
		{"values keep their case", "info=User_Count", "", "info=User_Count"},
		{"escapes are decoded and not made again", "filter_by_prefix=presence-%C3%A9%26%3D&info=a%2Cb", "", "filter_by_prefix=presence-é&=&info=a,b"},
		{"plus is a space", "q=a+b", "", "q=a b"},
		{"an escaped key", "%69nfo=x", "", "info=x"},
		{"a key that hides auth_signature", "auth%5Fsignature=x&b=1", "", "b=1"},
		{"incomplete escapes stand for themselves", "a=%&b=%4&c=%zz&d=%4g", "", "a=%&b=%4&c=%zz&d=%4g"},
		{"an array is joined", "info[]=user_count&info[]=subscription_count", "", "info=user_count,subscription_count"},
		{"an escaped array is joined", "info%5B0%5D=a&info%5B1%5D=b&info%5B2%5D=c", "", "info=a,b,c"},
		{"the last of equal keys counts", "a=1&a=2&a=3", "", "a=3"},
		{"an array replaces a value", "a=1&a[]=2&a[]=3", "", "a=2,3"},
		{"a value replaces an array", "a[]=1&a[]=2&a=3", "", "a=3"},
		{"no value", "a&b=", "", "a=&b="},
		{"an equals sign in a value", "a=b=c", "", "a=b=c"},
		{"empty pairs and keys are dropped", "&&a=1&=x&", "", "a=1"},
		{"a bracket begins the key", "[]=1", "", "[]=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var q Query
			if err := q.Parse(tt.query); err != nil {
				t.Fatal(err)
			}
			got := string(q.AppendCanonical([]byte("-"), "POST", "/apps/3/events", tt.bodyMD5))
			if want := "-POST\n/apps/3/events\n" + tt.want; got != want {
				t.Errorf("AppendCanonical = %q, want %q", got, want)
			}
			q.Reset()
			if got := string(q.AppendCanonical(nil, "GET", "/", "")); got != "GET\n/\n" {
				t.Errorf("AppendCanonical after Reset = %q", got)
			}
		})
	}
}

func TestQueryFindsParameters(t *testing.T) {
	var q Query
	if err := q.Parse("b=2&a=&INFO[]=x&info[]=y"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, key, want string
		ok              bool
	}{
		{"a value", "b", "2", true},
		{"an empty value", "a", "", true},
		{"an absent one", "c", "", false},
		{"an array", "info", "x,y", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := q.Lookup(tt.key)
			if got != tt.want || ok != tt.ok {
				t.Errorf("Lookup(%q) = %q, %v, want %q, %v", tt.key, got, ok, tt.want, tt.ok)
			}
			if got := q.Get(tt.key); got != tt.want {
				t.Errorf("Get(%q) = %q, want %q", tt.key, got, tt.want)
			}
		})
	}
}

func TestQueryIsBounded(t *testing.T) {
	var most, more strings.Builder
	for i := range MaxQueryParams {
		most.WriteString("&k" + strings.Repeat("x", i) + "=1")
	}
	more.WriteString(most.String() + "&last=1")
	var q Query
	if err := q.Parse(most.String()); err != nil {
		t.Errorf("Parse of %d parameters: %v", MaxQueryParams, err)
	}
	if err := q.Parse(more.String()); !errors.Is(err, ErrQueryTooLong) {
		t.Errorf("Parse of %d parameters: %v, want %v", MaxQueryParams+1, err, ErrQueryTooLong)
	}
}

// modelCanonical is AppendCanonical in the plainest words: a map, a sort, no
// sharing of memory.
func modelCanonical(method, path, query, bodyMD5 string) string {
	values := map[string][]string{}
	arrays := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, value = modelDecode(key), modelDecode(value)
		array := false
		if i := strings.IndexByte(key, '['); i > 0 {
			key, array = key[:i], true
		}
		key = asciiLower(key)
		if key == "" {
			continue
		}
		if !array || !arrays[key] {
			values[key] = nil
		}
		values[key], arrays[key] = append(values[key], value), array
	}
	delete(values, "auth_signature")
	delete(values, "body_md5")
	if bodyMD5 != "" {
		values["body_md5"] = []string{bodyMD5}
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	pairs := make([]string, 0, len(keys))
	for _, key := range keys {
		pairs = append(pairs, key+"="+strings.Join(values[key], ","))
	}
	return method + "\n" + path + "\n" + strings.Join(pairs, "&")
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func modelDecode(s string) string {
	var out []byte
	for s != "" {
		c, size := s[0], 1
		if c == '+' {
			c = ' '
		}
		if c == '%' && len(s) >= 3 {
			if n, err := hex.DecodeString(s[1:3]); err == nil {
				c, size = n[0], 3
			}
		}
		out, s = append(out, c), s[size:]
	}
	return string(out)
}

func FuzzRequestSignature(f *testing.F) {
	f.Add("POST", "/apps/3/events", "auth_key=k&auth_timestamp=1&auth_version=1.0&body_md5=x&auth_signature=s", md5OfBody)
	f.Add("GET", "/apps/3/channels", "Info[]=a&info%5b%5d=b&filter_by_prefix=pr%C3%A9+x&%zz=%4", "")
	f.Add("GET", "/", "a=1&a[]=2&a[]=3&&=x&[]=1&auth%5Fsignature=", "")
	s := NewSecret("secret")
	f.Fuzz(func(t *testing.T, method, path, query, bodyMD5 string) {
		var q Query
		if q.Parse("x=%41&stale=1") != nil {
			t.Fatal("a short query is refused")
		}
		if q.Parse(query) != nil {
			if strings.Count(query, "&") < MaxQueryParams {
				t.Fatalf("%q is refused", query)
			}
			return
		}
		canonical := q.AppendCanonical(nil, method, path, bodyMD5)
		if want := modelCanonical(method, path, query, bodyMD5); string(canonical) != want {
			t.Fatalf("canonical string of %q = %q, want %q", query, canonical, want)
		}
		signature := s.AppendRequest(nil, canonical)
		if len(signature) != SignatureBytes || !utf8.Valid(signature) {
			t.Fatalf("signature %q is not %d hex digits", signature, SignatureBytes)
		}
		if !s.VerifyRequest(string(signature), canonical) {
			t.Fatal("a signature does not verify")
		}
		signature[len(query)%SignatureBytes] ^= 1
		if s.VerifyRequest(string(signature), canonical) {
			t.Fatal("a changed signature verifies")
		}
		if s.VerifyRequest(string(s.AppendRequest(nil, append(canonical, 'x'))), canonical) {
			t.Fatal("a signature verifies for another string")
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	query := "auth_key=278d425bdf160c739803&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c&auth_timestamp=1353088179&auth_version=1.0&body_md5=" + md5OfBody
	var q Query
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Parse(query); err != nil {
			b.Fatal(err)
		}
		dst = q.AppendCanonical(dst[:0], "POST", "/apps/3/events", md5OfBody)
	}
}
