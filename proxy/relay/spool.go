package relay

import (
	"bytes"
	"io"
	"os"
)

// spoolMemory is how much of a held message stays in memory, in octets. What
// is larger lies in a temporary file without a name.
const spoolMemory = 256 << 10

// spool holds the content of one message, without dot-stuffing.
type spool struct {
	mem  []byte
	file *os.File
	size int64
	err  error // why the message cannot be held

	room   *Room
	meters *Meters
	held   spooled // as they have counted it
}

// write adds to the content. After an error it does nothing; see err.
func (p *spool) write(b []byte) {
	if p.err != nil {
		return
	}
	if !p.room.take(int64(len(b))) {
		p.err = errNoRoom
		return
	}
	p.size += int64(len(b))
	defer p.count()
	if p.file == nil && len(p.mem)+len(b) <= spoolMemory {
		p.mem = append(p.mem, b...)
		return
	}
	p.err = p.writeFile(b)
}

func (p *spool) writeFile(b []byte) error {
	if p.file == nil {
		f, err := os.CreateTemp("", "mailweir-*")
		if err != nil {
			return err
		}
		p.file = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	_, err := p.file.Write(b)
	return err
}

// reader returns the content from its n-th octet on.
func (p *spool) reader(n int64) io.Reader {
	if n < int64(len(p.mem)) {
		return io.MultiReader(bytes.NewReader(p.mem[n:]), p.fileReader(0))
	}
	return p.fileReader(n - int64(len(p.mem)))
}

func (p *spool) fileReader(n int64) io.Reader {
	if p.file == nil {
		return bytes.NewReader(nil)
	}
	return io.NewSectionReader(p.file, n, p.size-int64(len(p.mem))-n)
}

// count tells the meters what has changed.
func (p *spool) count() {
	now := spooled{memory: int64(len(p.mem))}
	if p.file != nil {
		now.files, now.disk = 1, p.size-now.memory
	}
	p.countAs(now)
}

func (p *spool) countAs(now spooled) {
	was := p.held
	p.held = now
	p.meters.hold(spooled{now.memory - was.memory, now.disk - was.disk, now.files - was.files})
}

// close gives the room back. It may be called again.
func (p *spool) close() {
	p.room.give(p.size)
	p.size = 0
	if p.file != nil {
		p.file.Close()
	}
	p.countAs(spooled{})
}
