package proxy

import (
	"context"
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// Report is what a probe has found out about one upstream.
type Report = upstream.Report

// probePatience bounds each wait for an upstream, as a person waits for the
// result.
const probePatience = 30 * time.Second

// Probe connects to each upstream of a configuration, and looks how it takes
// sessions. It sends no message. Its error is a configs.Problems; what is wrong
// with an upstream is in its Report.
func Probe(ctx context.Context, cfg *configs.Config) (all []Report, err error) {
	s, err := newShared(cfg, slog.New(slog.DiscardHandler)) // the reports tell
	if err != nil {
		return nil, err
	}
	defer s.close()
	c, err := openCertificates(cfg, s.shelf)
	defer c.close()
	if err != nil {
		return nil, cfg.Explain(err)
	}
	p := probePatience
	times := upstream.Timeouts{Connect: p, Handshake: p, Greeting: p, Mail: p, Rcpt: p, Data: p, Block: p, EndOfData: p, Other: p}
	for _, u := range cfg.Groups() {
		o := groupOptions(u, cfg.Hostname)
		o.Health = upstream.Health{} // nobody else is to connect meanwhile
		if client := c.clients[u.Name]; client != nil {
			o.TLSConfig = client.Config
		}
		g := s.fleet.Group(o)
		all = append(all, g.Probe(ctx, &times)...)
		g.Close()
	}
	return all, nil
}
