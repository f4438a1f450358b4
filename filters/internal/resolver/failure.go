package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// failure is why there is neither an answer nor the certainty of none.
type failure struct {
	err    error // as in filters.DNSError
	detail string
}

// complaints are what has gone wrong with the servers, for one question.
type complaints struct {
	said   []string
	failed bool // not only silence
}

func (c *complaints) add(s *server, err error) {
	if !errors.Is(err, errSilent) {
		c.failed = true
	}
	if text := fmt.Sprintf("%v: %v", s.addr, err); !slices.Contains(c.said, text) {
		c.said = append(c.said, text)
	}
}

// maxDetail bounds what is told about the servers, in octets.
const maxDetail = 512

// failure sums up.
func (r *Resolver) failure(c *complaints) *failure {
	if r.life.Err() != nil {
		return &failure{context.Canceled, "the resolver is closed"}
	}
	detail := strings.Join(c.said, "; ")
	if len(detail) > maxDetail {
		detail = detail[:maxDetail] + "..."
	}
	if c.failed {
		return &failure{filters.ErrServFail, detail}
	}
	return &failure{filters.ErrDNSTimeout, detail}
}
