package sender

import (
	"fmt"

	"github.com/mailweir/mailweir/filters"
)

// flaw is what is wrong with a domain.
type flaw uint8

const (
	notFQDN flaw = iota
	unknownDomain
	noMailHost
	nullMX
	bogusMX
)

// flawed is how a sender is refused. 5.1.8 is for domains that mail cannot be
// sent to (RFC 3463 section 3.2), 5.7.27 for a null MX (RFC 7505 section 4.2).
var flawed = [...]struct {
	enh          [3]uint16
	reason, text string
}{
	notFQDN:       {[3]uint16{5, 1, 8}, "sender_not_fqdn", "Your sender's domain %+.64q is incomplete: use a fully qualified one"},
	unknownDomain: {[3]uint16{5, 1, 8}, "sender_unknown_domain", "Your sender's domain %+.64q does not exist"},
	noMailHost:    {[3]uint16{5, 1, 8}, "sender_no_mail_host", "Your sender's domain %+.64q has no mail server: neither MX nor address records"},
	nullMX:        {[3]uint16{5, 7, 27}, "sender_null_mx", "Your sender's domain %+.64q says that it takes no mail"},
	bogusMX:       {[3]uint16{5, 1, 8}, "sender_bogus_mx", "No mail server of your sender's domain %+.64q has an address on the Internet"},
}

// test returns the test that looks for the flaw.
func (f *filter) test(of flaw) filters.Test {
	switch of {
	case notFQDN:
		return f.NotFQDN
	case nullMX:
		return f.NullMX
	case bogusMX:
		return f.BogusMX
	}
	return f.UnknownDomain
}

func (f *filter) refuse(is flaw, domain string) filters.Verdict {
	test := f.test(is)
	if !test.Made() {
		return filters.Verdict{}
	}
	how := flawed[is]
	return test.Finds(filters.Refuse(how.reason, 550, how.enh, fmt.Sprintf(how.text, domain)))
}

// failed is the verdict when each of the flaws may be there or not.
func (f *filter) failed(err error, maybe ...flaw) filters.Verdict {
	verdicts := make([]filters.Verdict, len(maybe))
	for i, is := range maybe {
		verdicts[i] = f.test(is).Finds(filters.Failed(err))
	}
	return filters.Gravest(verdicts...)
}
