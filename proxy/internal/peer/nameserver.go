package peer

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Answer tells what a NameServer says to a question that came over "udp" or
// "tcp", and nil that it says nothing. It may take its time; ctx ends when the
// server does.
type Answer func(ctx context.Context, over string, question *dns.Msg) *dns.Msg

// A NameServer answers over UDP and TCP as it is told to, truthfully or not.
type NameServer struct {
	Addr string

	where   *Netns
	answer  Answer
	udp     net.PacketConn
	tcp     net.Listener
	cancel  context.CancelFunc
	serving sync.WaitGroup
	servers []*dns.Server
}

// Names starts a NameServer that ends with the test.
func Names(t testing.TB, answer Answer) *NameServer {
	t.Helper()
	return (*Netns)(nil).Names(t, answer)
}

// Names is Names in the namespace, on its loopback.
func (n *Netns) Names(t testing.TB, answer Answer) *NameServer {
	t.Helper()
	s := &NameServer{Addr: "127.0.0.1:0", where: n, answer: answer}
	var err error
	for range 10 { // the port may be taken for TCP
		if err = s.listen(s.Addr); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s.serve()
	t.Cleanup(s.Stop)
	return s
}

// listen opens both sockets, or none.
func (s *NameServer) listen(addr string) error {
	return s.where.Do(func() (err error) {
		if s.udp, err = net.ListenPacket("udp4", addr); err != nil {
			return err
		}
		if s.tcp, err = net.Listen("tcp4", s.udp.LocalAddr().String()); err != nil {
			s.udp.Close()
		}
		return err
	})
}

// serve serves until Stop.
func (s *NameServer) serve() {
	s.Addr = s.udp.LocalAddr().String()
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.servers = []*dns.Server{{PacketConn: s.udp, UDPSize: dns.MaxMsgSize}, {Listener: s.tcp}}
	for _, server := range s.servers {
		over := "udp"
		if server.Listener != nil {
			over = "tcp"
		}
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
			reply := s.answer(ctx, over, question)
			if reply == nil {
				return
			}
			if over == "udp" {
				reply.Truncate(askedSize(question))
			}
			w.WriteMsg(reply) // whoever asked may be gone
		})
		started := make(chan struct{})
		server.NotifyStartedFunc = sync.OnceFunc(func() { close(started) })
		s.serving.Go(func() { server.ActivateAndServe() })
		<-started
	}
}

// askedSize is how much the client takes over UDP (RFC 6891 section 6.2.3).
func askedSize(question *dns.Msg) int {
	if opt := question.IsEdns0(); opt != nil {
		return max(dns.MinMsgSize, int(opt.UDPSize()))
	}
	return dns.MinMsgSize
}

// Stop ends the server, which does not answer any more.
func (s *NameServer) Stop() {
	s.cancel()
	for _, server := range s.servers {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		server.ShutdownContext(ctx) // a server that has been stopped says so
		cancel()
	}
	s.serving.Wait()
}

// Start lets a stopped server answer again, at the same address.
func (s *NameServer) Start(t testing.TB) {
	t.Helper()
	if err := s.listen(s.Addr); err != nil {
		t.Fatal(fmt.Errorf("the name server does not come back: %w", err))
	}
	s.serve()
}

// Reply returns the answer of a resolver. One without records has the SOA record
// that says how long that holds (RFC 2308 section 3): a minute.
func Reply(question *dns.Msg, rcode int, records ...dns.RR) *dns.Msg {
	m := new(dns.Msg).SetRcode(question, rcode)
	m.RecursionAvailable = true
	m.Answer = records
	if len(records) == 0 && (rcode == dns.RcodeSuccess || rcode == dns.RcodeNameError) {
		m.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns.test.example.", Mbox: "hostmaster.test.example.", Minttl: 60,
		}}
	}
	if opt := question.IsEdns0(); opt != nil {
		m.SetEdns0(dns.DefaultMsgSize, opt.Do())
	}
	return m
}

// clientNames starts a name server that knows the test's client on loopback,
// and nobody else, and returns its address.
func clientNames(t testing.TB, where *Netns) string {
	t.Helper()
	return where.Names(t, func(_ context.Context, _ string, question *dns.Msg) *dns.Msg {
		q := question.Question[0]
		switch {
		case !strings.EqualFold(q.Name, "client.test.example."):
			return Reply(question, dns.RcodeNameError)
		case q.Qtype != dns.TypeA:
			return Reply(question, dns.RcodeSuccess)
		}
		return Reply(question, dns.RcodeSuccess, &dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   net.IPv4(127, 0, 0, 1),
		})
	}).Addr
}
