package sasl

import "bytes"

// whole finds the name in a message that is nothing else.
func whole(message []byte) []byte { return message }

// plain finds the second of three parts (RFC 4616 section 2):
//
//	[authzid] NUL authcid NUL passwd
func plain(message []byte) []byte {
	if bytes.Count(message, []byte{0}) != 2 {
		return nil
	}
	_, rest, _ := bytes.Cut(message, []byte{0})
	name, _, _ := bytes.Cut(rest, []byte{0})
	return name
}

// cramMD5 finds what stands before the digest (RFC 2195 section 2):
//
//	name SP 32 hexadecimal digits
func cramMD5(message []byte) []byte {
	i := bytes.LastIndexByte(message, ' ')
	if i < 0 || len(message)-i-1 != 32 {
		return nil
	}
	for _, c := range message[i+1:] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return nil
		}
	}
	return message[:i]
}

// scram finds the name in a client-first-message (RFC 5802 section 7):
//
//	gs2-header "n=" saslname ",r=" nonce ["," extensions]
//
// One with "m=" before it must be refused by servers of today.
func scram(message []byte) []byte {
	_, bare, ok := gs2(message)
	if !ok {
		return nil
	}
	bare, ok = bytes.CutPrefix(bare, []byte("n="))
	name, rest, _ := bytes.Cut(bare, []byte(","))
	if !ok || !bytes.HasPrefix(rest, []byte("r=")) {
		return nil
	}
	return unescape(name)
}

// oauthBearer finds the name in the header (RFC 7628 section 3.1):
//
//	gs2-header ^A "host=" ... ^A "auth=Bearer " token ^A ^A
func oauthBearer(message []byte) []byte {
	name, rest, ok := gs2(message)
	if !ok || !bytes.HasPrefix(rest, []byte{1}) {
		return nil
	}
	return unescape(name)
}

// xoauth2 finds the name in Google's precursor of OAUTHBEARER, which is
// written in one way only, so that no other reader can find a second name:
//
//	"user=" name ^A "auth=Bearer " token ^A ^A
func xoauth2(message []byte) []byte {
	rest, ok := bytes.CutPrefix(message, []byte("user="))
	name, rest, found := bytes.Cut(rest, []byte{1})
	auth, ended := bytes.CutSuffix(rest, []byte{1, 1})
	if !ok || !found || !ended || !bytes.HasPrefix(auth, []byte("auth=")) || bytes.IndexByte(auth, 1) >= 0 {
		return nil
	}
	return name
}

// gs2 cuts off the header of the mechanisms that are made after GS2 (RFC 5802
// section 7): whether the channel is bound, and whom to act as.
//
//	("n" / "y" / "p=" cb-name) "," ["a=" saslname] ","
func gs2(message []byte) (authzid, rest []byte, ok bool) {
	flag, rest, _ := bytes.Cut(message, []byte(","))
	if s := string(flag); s != "n" && s != "y" && !bytes.HasPrefix(flag, []byte("p=")) {
		return nil, nil, false
	}
	field, rest, found := bytes.Cut(rest, []byte(","))
	if !found {
		return nil, nil, false
	}
	authzid, named := bytes.CutPrefix(field, []byte("a="))
	return authzid, rest, named || len(field) == 0
}

// unescape writes the octets of a saslname in place of their codes (RFC 5802
// section 5.1), "=2C" for a comma and "=3D" for "=". With any other "=" it is
// none: nil.
func unescape(name []byte) []byte {
	out := name[:0]
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '=' {
			switch code := name[i+1:]; {
			case bytes.HasPrefix(code, []byte("2C")):
				c = ','
			case bytes.HasPrefix(code, []byte("3D")):
			default:
				return nil
			}
			i += 2
		}
		out = append(out, c)
	}
	return out
}
