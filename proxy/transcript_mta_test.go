package proxy_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// An mta is a small MTA that asks mailweir about each step of the dialogue over
// the milter protocol, and does with its answers what Postfix does:
//
//   - A client refused at connect is greeted with 554, or with 220 if it is
//     refused for now. That client, and one refused at HELO or EHLO, hears at
//     MAIL why, until it leaves.
//   - A reply of 421 ends the session, in words of its own at connect.
//   - The milter is not told of what the MTA refuses itself, nor of VRFY, NOOP,
//     ETRN and AUTH, and of the verb alone of others.
//   - RSET, another greeting, QUIT and the loss of the client in a transaction
//     are all told as one thing: the message has been given up.
//
// In its own name it says what the transcript's upstream says, and refuses what
// that refuses. Where the upstream is silent it says what the relay says.
type mta struct {
	milter   *lib.Client
	upstream *answers
	from     []string // the clients' addresses and names, one after the other; "" for the real one
	greets   []string // with what it answers HELO and EHLO, one after the other
	held     []string // why messages are held in quarantine

	mu   sync.Mutex
	errs []string
}

func newMTA(milter net.Addr, upstream *answers, dialogues []scene) *mta {
	m := &mta{upstream: upstream}
	m.milter = lib.NewClient(milter.Network(), milter.String(),
		lib.WithReadTimeout(patience), lib.WithDialer(awaitedEnd{}))
	for _, d := range dialogues {
		m.from = append(m.from, d.from)
		for _, e := range exchanges(d.steps) {
			if verb, _, _ := strings.Cut(e.command, " "); (verb == "HELO" || verb == "EHLO") && e.reply[0] == '2' {
				m.greets = append(m.greets, e.reply)
			}
		}
	}
	return m
}

func (m *mta) fail(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = append(m.errs, fmt.Sprintf(format, args...))
}

// awaitedEnd makes connections whose end is when the other side has ended too:
// what it logs of one is then in front of what it logs of the next.
type awaitedEnd struct{}

func (awaitedEnd) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return nil, err
	}
	return awaitingConn{conn.(*net.TCPConn)}, nil
}

type awaitingConn struct{ *net.TCPConn }

func (c awaitingConn) Close() error {
	c.CloseWrite()
	c.SetReadDeadline(time.Now().Add(patience))
	io.Copy(io.Discard, c.TCPConn)
	return c.TCPConn.Close()
}

// serve serves one client after the other, until the listener is closed.
func (m *mta) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s := &mtaSession{mta: m, conn: conn, in: bufio.NewReader(conn)}
		conn.SetDeadline(time.Now().Add(2 * patience))
		if err := s.talk(); err != nil && !errors.Is(err, io.EOF) {
			m.fail("%v", err)
		}
		conn.Close()
	}
}

// mtaSession is one client of the MTA.
type mtaSession struct {
	*mta
	conn net.Conn
	in   *bufio.Reader

	macros  *lib.MacroBag
	asked   *lib.ClientSession
	off     bool   // the milter has accepted all of the session
	refusal string // of the connection or the greeting, which lasts
	greeted bool
	ended   bool // the client is to go

	tx *mtaTransaction // nil outside of one
}

// mtaTransaction is a mail transaction of the MTA.
type mtaTransaction struct {
	parties
	tried   int  // recipients that the client has named
	off     bool // the milter has accepted the message
	discard bool
	content []byte
	chunks  bool // the content comes by BDAT
}

func (s *mtaSession) talk() error {
	if err := s.connect(); err != nil {
		return err
	}
	defer s.asked.Close()
	for !s.ended {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.reset()
			return err
		}
		verb, args, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		reply, err := s.command(strings.ToUpper(verb), args)
		if err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
		if strings.HasPrefix(reply, "421") {
			s.ended = true
			s.reset()
		}
		if s.ended {
			s.asked.Close() // first, since the client will not wait for it
		}
		s.say(reply)
	}
	return nil
}

func (s *mtaSession) say(reply string) { io.WriteString(s.conn, reply+"\r\n") }

// ownAddress is where clients connect to that are not on this machine.
const ownAddress = "192.0.2.25"

// client returns the name and the address of the client, as the transcript says
// they are. The name of one that has none is its address in brackets.
func (s *mtaSession) client() (name string, addr netip.AddrPort) {
	addr = s.conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	if len(s.from) > 0 {
		told, itsName, _ := strings.Cut(s.from[0], " ")
		if told != "" {
			name, addr = itsName, netip.AddrPortFrom(netip.MustParseAddr(told), addr.Port())
		}
		s.from = s.from[1:]
	}
	return cmp.Or(name, "["+addr.Addr().String()+"]"), addr
}

// connect tells the milter of the client, and greets it.
func (s *mtaSession) connect() (err error) {
	name, client := s.client()
	s.macros = lib.NewMacroBag()
	s.macros.Set(lib.MacroMTAFQDN, "mx.example")
	s.macros.Set(lib.MacroClientName, name)
	if !client.Addr().IsLoopback() {
		s.macros.Set(lib.MacroDaemonAddr, ownAddress)
	}
	if s.asked, err = s.milter.Session(s.macros); err != nil {
		return err
	}
	family := lib.FamilyInet
	if client.Addr().Is6() {
		family = lib.FamilyInet6
	}
	reply, err := s.ask(s.asked.Conn(name, family, client.Port(), client.Addr().String()))
	s.refusal = reply
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(reply, "421"):
		s.ended = true
		s.asked.Close()
		s.say("421 mx.example Service unavailable - try again later")
	case strings.HasPrefix(reply, "5"):
		s.say("554 mx.example ESMTP not accepting connections")
	default:
		s.say("220 mx.example ESMTP")
	}
	return nil
}

// ask returns the reply that the milter wants the client to have, or "".
func (s *mtaSession) ask(a *lib.Action, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case a.StopProcessing():
		return strings.ReplaceAll(a.SMTPReply, "%%", "%"), nil
	case a.Type == lib.ActionAccept && s.tx == nil:
		s.off = true
	case a.Type == lib.ActionAccept:
		s.tx.off = true
	case a.Type == lib.ActionDiscard && s.tx != nil:
		s.tx.discard = true
	}
	return "", nil
}

// silent reports whether the milter is told nothing now.
func (s *mtaSession) silent() bool { return s.off || s.tx != nil && (s.tx.off || s.tx.discard) }

// command returns the reply to a command.
func (s *mtaSession) command(verb, args string) (string, error) {
	switch verb {
	case "HELO", "EHLO":
		return s.helo(args)
	case "MAIL":
		return s.mail(args)
	case "RCPT":
		return s.rcpt(args)
	case "DATA":
		return s.data(args)
	case "BDAT":
		return s.bdat(args)
	case "RSET":
		s.reset()
		return s.upstream.to("RSET", "250 2.0.0 Ok"), nil
	case "QUIT":
		s.reset()
		s.ended = true
		return s.upstream.to("QUIT", "221 2.0.0 Bye"), nil
	}
	return s.other(verb, args)
}

// other answers what belongs to no transaction.
func (s *mtaSession) other(verb, args string) (string, error) {
	own := "502 5.5.1 Command not implemented"
	switch verb {
	case "VRFY":
		own = "252 2.0.0 " + args
	case "NOOP":
		own = "250 2.0.0 Ok"
	case "ETRN", "AUTH":
	default:
		if s.refusal != "" {
			return s.refusal, nil
		}
		if s.silent() {
			break
		}
		if reply, err := s.ask(s.asked.Unknown(verb, nil)); reply != "" || err != nil {
			return reply, err
		}
	}
	return s.upstream.to(strings.TrimRight(verb+" "+args, " "), own), nil
}

func (s *mtaSession) helo(name string) (string, error) {
	s.reset()
	if s.refusal == "" && !s.off {
		reply, err := s.ask(s.asked.Helo(name))
		if err != nil || strings.HasPrefix(reply, "421") {
			return reply, err
		}
		s.refusal = reply
	}
	s.greeted = true
	if s.refusal != "" || len(s.greets) == 0 {
		return "250-mx.example\r\n250 ENHANCEDSTATUSCODES", nil
	}
	reply := s.greets[0]
	s.greets = s.greets[1:]
	return reply, nil
}

func (s *mtaSession) mail(args string) (string, error) {
	var from filters.Path
	switch err := smtp.ParseMail([]byte(args), &from, new(smtp.Arena)); {
	case !s.greeted:
		return "503 5.5.1 Send HELO or EHLO first", nil
	case s.tx != nil:
		return "503 5.5.1 Transaction already begun", nil
	case s.refusal != "":
		return s.refusal, nil
	case err != nil:
		return badPath(err, "501 5.5.4 Syntax: MAIL FROM:<address>", "501 5.1.7 Bad sender address syntax"), nil
	}
	command := pathCommand("MAIL FROM:", from)
	if refused := s.upstream.refuses(command); refused != "" {
		return refused, nil
	}
	s.tx = new(mtaTransaction)
	if !s.silent() {
		reply, err := s.ask(s.asked.Mail(unread(args), from.Params))
		if reply != "" || err != nil {
			s.reset()
			return reply, err
		}
	}
	s.tx.from = from
	return s.upstream.to(command, "250 2.1.0 Ok"), nil
}

// pathCommand is MAIL or RCPT as the upstream hears it.
func pathCommand(command string, p filters.Path) string {
	return strings.TrimRight(command+p.Raw+" "+p.Params, " ")
}

// badPath returns the reply to an address that cannot be read.
func badPath(err error, syntax, address string) string {
	switch err {
	case smtp.BadSyntax:
		return syntax
	case smtp.NeedUTF8:
		return "553 5.6.7 Address needs SMTPUTF8"
	}
	return address
}

// unread returns the address as the client wrote it, which is how milters see it.
func unread(args string) string {
	_, address, _ := strings.Cut(args, "<")
	return address[:strings.LastIndexByte(address, '>')]
}

func (s *mtaSession) rcpt(args string) (string, error) {
	var to filters.Path
	switch {
	case s.refusal != "":
		return s.refusal, nil
	case s.tx == nil:
		return "503 5.5.1 Send MAIL first", nil
	}
	s.tx.tried++
	_, utf8 := s.tx.from.Param("SMTPUTF8")
	if err := smtp.ParseRcpt([]byte(args), utf8, &to, new(smtp.Arena)); err != nil {
		return badPath(err, "501 5.5.4 Syntax: RCPT TO:<address>", "501 5.1.3 Bad recipient address syntax"), nil
	}
	command := pathCommand("RCPT TO:", to)
	if refused := s.upstream.refuses(command); refused != "" {
		return refused, nil
	}
	if !s.silent() {
		if reply, err := s.ask(s.asked.Rcpt(unread(args), to.Params)); reply != "" || err != nil {
			return reply, err
		}
	}
	s.tx.rcpts = append(s.tx.rcpts, to)
	return s.upstream.to(command, "250 2.1.5 Ok"), nil
}

// begins tells the milter that the content begins, and returns the reply if it
// must not.
func (s *mtaSession) begins() (string, error) {
	switch {
	case s.refusal != "":
		return s.refusal, nil
	case s.tx == nil:
		return "503 5.5.1 Send MAIL first", nil
	case s.tx.tried == 0:
		return "503 5.5.1 Send RCPT first", nil
	case len(s.tx.rcpts) == 0:
		return "554 5.5.1 No valid recipients", nil
	}
	if refused := s.upstream.refuses("DATA"); refused != "" {
		return refused, nil
	}
	if s.silent() {
		return "", nil
	}
	return s.ask(s.asked.DataStart())
}

func (s *mtaSession) data(args string) (string, error) {
	if args != "" {
		return "501 5.5.4 No parameters allowed", nil
	}
	if reply, err := s.begins(); reply != "" || err != nil {
		return reply, err
	}
	s.say(s.upstream.to("DATA", "354 End data with <CR><LF>.<CR><LF>"))
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.reset()
			return "", err
		}
		if line == ".\r\n" {
			return s.message()
		}
		s.tx.content = append(s.tx.content, strings.TrimPrefix(line, ".")...)
	}
}

func (s *mtaSession) bdat(args string) (string, error) {
	size, last, _ := strings.Cut(args, " ")
	n, err := strconv.Atoi(size)
	if err != nil {
		return "", err
	}
	chunk := make([]byte, n)
	if _, err := io.ReadFull(s.in, chunk); err != nil {
		s.reset()
		return "", err
	}
	if s.tx == nil || !s.tx.chunks {
		if reply, err := s.begins(); reply != "" || err != nil {
			return reply, err
		}
		s.tx.chunks = true
	}
	s.tx.content = append(s.tx.content, chunk...)
	if last == "" {
		return "250 2.0.0 Ok", nil
	}
	return s.message()
}

// message shows the message to the milter, and if that lets it pass hands it on.
func (s *mtaSession) message() (string, error) {
	defer s.reset()
	m := readMessage(s.tx.parties, s.tx.content)
	reply, err := s.show(m)
	switch {
	case reply != "" || err != nil:
		return reply, err
	case s.tx.discard:
		return "250 2.0.0 Ok", nil
	case m.quarantine != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = append(s.held, m.quarantine)
		return "250 2.0.0 Held", nil
	}
	return s.upstream.deliver(m)
}

// show tells the milter of the content, and makes the edits it asks for.
func (s *mtaSession) show(m *message) (string, error) {
	if s.silent() {
		return "", nil
	}
	spaced := s.asked.ProtocolOption(lib.OptHeaderLeadingSpace)
	for _, f := range m.fields {
		name, value := f.forMilter(spaced)
		if reply, err := s.ask(s.asked.HeaderField(name, value, nil)); reply != "" || err != nil || s.silent() {
			return reply, err
		}
	}
	if reply, err := s.ask(s.asked.HeaderEnd()); reply != "" || err != nil || s.silent() {
		return reply, err
	}
	edits, action, err := s.asked.BodyReadFrom(strings.NewReader(m.body))
	reply, err := s.ask(action, err)
	if reply != "" || err != nil {
		return reply, err
	}
	return "", m.edit(edits, spaced)
}

// reset ends a transaction.
func (s *mtaSession) reset() {
	if s.tx != nil && !s.off {
		if err := s.asked.Abort(nil); err != nil {
			s.fail("abort: %v", err)
		}
	}
	s.tx = nil
}
