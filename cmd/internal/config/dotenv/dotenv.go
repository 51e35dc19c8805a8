package dotenv

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// byteOrderMark is what some editors put in front of UTF-8 text.
const byteOrderMark = "\ufeff"

// What can be wrong with a value.
var (
	errUnquotedSpace = errors.New("text after a space: a value with spaces needs quotes")
	errTextAfter     = errors.New("text after the closing quote")
	errUnclosed      = errors.New("missing closing quote")
	errEscape        = errors.New(`unexpected escape sequence: inside double quotes only \" \\ \$ \f \n \r \t \v are known`)
)

// reference matches a nested variable at the beginning of a text.
var reference = regexp.MustCompile(`\A\$\{([a-zA-Z0-9_.]+)\}`)

// validName matches a whole variable name.
var validName = regexp.MustCompile(`\A[a-zA-Z0-9_.]+\z`)

// Parse returns the variables that src defines; a name defined twice has its
// last value, and a name without "=" is not defined. A "${NAME}" outside single
// quotes is replaced by outer's value of NAME, or else by the value that src gave
// NAME before; when neither knows it, it stays as it is. A nil outer knows no name.
//
// The error joins one error per line that does not follow the grammar; the
// variables of the other lines are returned with it.
func Parse(src []byte, outer func(name string) (string, bool)) (map[string]string, error) {
	text := strings.TrimPrefix(string(src), byteOrderMark)
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)

	p := &parser{rest: text, line: 1, outer: outer, values: map[string]string{}}
	var wrong []error
	for p.rest != "" {
		line := p.line
		if err := p.entry(); err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", line, err))
		}
	}
	return p.values, errors.Join(wrong...)
}

// parser is the position in a text and what was read before it.
type parser struct {
	rest   string // from the beginning of a line
	line   int    // number of that line, from 1
	outer  func(string) (string, bool)
	values map[string]string
}

// entry reads one line, or more when a double-quoted value goes on.
func (p *parser) entry() error {
	line, _, _ := strings.Cut(p.rest, "\n")
	trimmed := strings.TrimSpace(line)
	name, _, assigned := strings.Cut(line, "=")
	if trimmed == "" || trimmed[0] == '#' || !assigned {
		p.advance(len(line))
		return nil
	}

	raw := p.rest[len(name)+1:]
	name, err := cleanName(name)
	if err != nil {
		p.advance(len(line))
		return err
	}
	value, length, err := p.value(raw)
	if err != nil {
		// The value may have gone on over lines that are entries of their own.
		p.advance(len(line))
		return fmt.Errorf("%s: %w", name, err)
	}
	p.advance(len(p.rest) - len(raw) + length)
	p.values[name] = value
	return nil
}

// advance moves behind the line in which byte n of the rest stands.
func (p *parser) advance(n int) {
	end := strings.IndexByte(p.rest[n:], '\n')
	if end < 0 {
		p.rest = ""
		return
	}
	n += end + 1
	p.line += strings.Count(p.rest[:n], "\n")
	p.rest = p.rest[n:]
}

// cleanName removes the space, the "export" and the quotes around a name.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if after, exported := strings.CutPrefix(name, "export"); exported && after != strings.TrimLeft(after, " \t") {
		name = strings.TrimSpace(after)
	}
	if n := len(name); n > 2 && name[0] == name[n-1] && (name[0] == '"' || name[0] == '\'') {
		name = name[1 : n-1]
	}
	if !validName.MatchString(name) {
		return "", errors.New("not a variable name before the equals sign")
	}
	return name, nil
}

// value reads what stands behind an equals sign and says how many bytes of raw
// it took, up to the end of the value or of its line.
func (p *parser) value(raw string) (value string, length int, err error) {
	start := len(raw) - len(strings.TrimLeft(raw, " \t\v\f"))
	body := raw[start:]
	switch {
	case strings.HasPrefix(body, `"`):
		value, length, err = p.doubleQuoted(body[1:])
	case strings.HasPrefix(body, "'"):
		value, length, err = singleQuoted(body[1:])
	default:
		line, _, _ := strings.Cut(body, "\n")
		value, err = p.unquoted(line)
		return value, start + len(line), err
	}
	length += start + 1
	if err != nil {
		return "", length, err
	}
	after, _, _ := strings.Cut(raw[length:], "\n")
	if after = strings.TrimSpace(after); after != "" && after[0] != '#' {
		return "", length, errTextAfter
	}
	return value, length, nil
}

// unquoted reads a value without quotes from the rest of its line.
func (p *parser) unquoted(line string) (string, error) {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, " \t\v\f") {
		return "", errUnquotedSpace
	}
	return p.expand(line), nil
}

// singleQuoted reads up to the closing quote; nothing inside is special.
func singleQuoted(body string) (string, int, error) {
	line, _, _ := strings.Cut(body, "\n")
	end := strings.IndexByte(line, '\'')
	if end < 0 {
		return "", 0, errUnclosed
	}
	return body[:end], end + 1, nil
}

// doubleQuoted reads up to the closing quote, over line ends if need be.
func (p *parser) doubleQuoted(body string) (string, int, error) {
	var out strings.Builder
	for i := 0; i < len(body); {
		switch c := body[i]; c {
		case '"':
			return out.String(), i + 1, nil
		case '\\':
			if i+1 == len(body) {
				return "", 0, errUnclosed
			}
			plain, known := escapes[body[i+1]]
			if !known {
				return "", 0, errEscape
			}
			out.WriteByte(plain)
			i += 2
		case '$':
			text, length := p.reference(body[i:])
			out.WriteString(text)
			i += length
		default:
			out.WriteByte(c)
			i++
		}
	}
	return "", 0, errUnclosed
}

// escapes maps what follows a backslash in double quotes to what it stands for.
var escapes = map[byte]byte{
	'"': '"', '\\': '\\', '$': '$',
	'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}

// expand replaces the references in an unquoted value, which has no escapes.
func (p *parser) expand(text string) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		value, length := p.reference(text[i:])
		out.WriteString(text[:i])
		out.WriteString(value)
		text = text[i+length:]
	}
}

// reference reads what begins with "$": a "${NAME}" with a value, or plain text.
// It returns what it stands for and how many bytes of text it took.
func (p *parser) reference(text string) (string, int) {
	match := reference.FindStringSubmatch(text)
	if match == nil {
		return "$", 1
	}
	if p.outer != nil {
		if value, defined := p.outer(match[1]); defined {
			return value, len(match[0])
		}
	}
	if value, defined := p.values[match[1]]; defined {
		return value, len(match[0])
	}
	return match[0], len(match[0])
}
