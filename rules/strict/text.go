package strict

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SetText sets v to what a text from outside of a file says, within the bounds
// of f. It returns nil, or a problem that has no place yet.
func SetText(v reflect.Value, text string, f Field) *Problem {
	if why := setText(v, text, f); why != nil {
		return &Problem{Msg: why.Msg, Hint: why.Hint}
	}
	return nil
}

// setText sets v to what the text says.
func setText(v reflect.Value, text string, f Field) *fault {
	t := v.Type()
	if words := Words(t); words != nil && !slices.Contains(words, text) {
		return &fault{fmt.Sprintf("want %s, got %s", wanted(t), quote(text)), wordHint(text, words)}
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return &fault{err.Error(), ""}
		}
		return nil
	}
	switch {
	case t == durationType:
		return setDuration(v, text, f)
	case isNumber(t):
		return setNumber(v, text, f)
	case t.Kind() == reflect.Bool:
		return setBool(v, text)
	case t.Kind() == reflect.String:
		return setString(v, text, f)
	}
	return &fault{"cannot be configured", ""}
}

// wordHint names the word that is probably meant.
func wordHint(text string, words []string) string {
	if hint := boolHint(text); hint != "" && slices.Contains(words, "true") && slices.Contains(words, "false") {
		return hint
	}
	if strings.Trim(text, "0123456789.") == "" { // one number is as good as another
		return ""
	}
	return Suggest(text, words)
}

// boolHint names the bool that is meant by other spellings of it, of which many
// were bools in YAML 1.1.
func boolHint(text string) string {
	switch strings.ToLower(text) {
	case "true", "yes", "y", "on", "1":
		return "write true"
	case "false", "no", "n", "off", "0":
		return "write false"
	}
	return ""
}

func setString(v reflect.Value, text string, f Field) *fault {
	if text == "" && f.Required {
		return &fault{"want a text that is not empty", ""}
	}
	if check := formats[f.Format]; check != nil && text != "" {
		if msg := check(text); msg != "" {
			return &fault{msg, ""}
		}
	}
	v.SetString(text)
	return nil
}

func setBool(v reflect.Value, text string) *fault {
	if text != "true" && text != "false" {
		return &fault{"want true or false, got " + quote(text), boolHint(text)}
	}
	v.SetBool(text == "true")
	return nil
}

func setDuration(v reflect.Value, text string, f Field) *fault {
	value, err := time.ParseDuration(text)
	if err != nil || bareZero(text) {
		hint := ""
		if n, err := strconv.ParseUint(text, 10, 32); err == nil && n > 0 {
			hint = fmt.Sprintf("write %ds", n)
		}
		return &fault{"want a duration such as 30s, got " + quote(text), hint}
	}
	low, _ := time.ParseDuration(cmp.Or(f.Min, "0s"))
	high, err := time.ParseDuration(f.Max)
	if value < low || err == nil && value > high {
		return &fault{fmt.Sprintf("want a duration %s, got %s", bounds(cmp.Or(f.Min, "0s"), f.Max), text), ""}
	}
	v.SetInt(int64(value))
	return nil
}

// bareZero reports a zero without a unit, which Go lets pass.
func bareZero(text string) bool { return strings.Trim(text, "+-0") == "" }

func setNumber(v reflect.Value, text string, f Field) *fault {
	number := reflect.New(v.Type()).Elem()
	value, err := parseNumber(number, text)
	if errors.Is(err, strconv.ErrSyntax) {
		return &fault{"want " + wanted(v.Type()) + ", got " + quote(text), ""}
	}
	low, noLow := strconv.ParseFloat(f.Min, 64)
	high, noHigh := strconv.ParseFloat(f.Max, 64)
	if err != nil || noLow == nil && value < low || noHigh == nil && value > high {
		if f.Min == "" && f.Max == "" {
			return &fault{text + " is too great or too small", ""}
		}
		return &fault{fmt.Sprintf("want a number %s, got %s", bounds(f.Min, f.Max), text), ""}
	}
	v.Set(number)
	return nil
}

// parseNumber sets v, of any numeric type, and returns the number for
// comparison with bounds.
func parseNumber(v reflect.Value, text string) (float64, error) {
	bits := v.Type().Bits()
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, bits)
		v.SetInt(n)
		return float64(n), err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, bits)
		if strings.HasPrefix(text, "-") {
			err = strconv.ErrRange
		}
		v.SetUint(n)
		return float64(n), err
	}
	n, err := strconv.ParseFloat(text, bits)
	if math.IsNaN(n) || math.IsInf(n, 0) {
		err = strconv.ErrRange
	}
	v.SetFloat(n)
	return n, err
}

// bounds says within what a value must be.
func bounds(low, high string) string {
	switch {
	case low == "":
		return "of at most " + high
	case high == "":
		return "of at least " + low
	}
	return "from " + low + " to " + high
}

// quote shows a text of the file, cut when it is long.
func quote(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	return strconv.Quote(text)
}
