package ordeal_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/ordeal"
	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A mortal is a mailweir that is killed and started again, at random moments and
// when somebody orders it.
type mortal struct {
	ledger *ordeal.Ledger
	kill   func()
	start  func()
	random *rand.Rand
	orders chan chan struct{} // closed when it is dead
	over   chan struct{}
}

func newMortal(l *ordeal.Ledger, seed uint64) *mortal {
	return &mortal{ledger: l, random: rand.New(rand.NewPCG(seed, 0)), orders: make(chan chan struct{}), over: make(chan struct{})}
}

// How long a mailweir lives: at least, and how much longer before it is killed
// without an order.
const (
	shortLife = 100 * time.Millisecond
	longLife  = time.Second
)

// killAlive kills a mailweir, which must not have ended by itself: what that
// takes with it no kill explains.
func killAlive(t *testing.T, p *proc.Process) {
	if p.Ended() {
		t.Error("mailweir has ended by itself; its log tells why")
	}
	p.Kill()
}

// order has it killed, and returns when it is dead; or at once, if it has only
// begun to live.
func (m *mortal) order() {
	dead := make(chan struct{})
	select {
	case m.orders <- dead:
		<-dead
	case <-m.over:
	}
}

// live kills it time and again until done, the first time soon. It belongs into
// the test's own goroutine.
func (m *mortal) live(done <-chan struct{}) {
	defer close(m.over)
	born := time.Now().Add(-longLife)
	for {
		end := time.NewTimer(time.Until(born.Add(shortLife + time.Duration(m.random.Int64N(int64(longLife))))))
		var dead chan struct{}
		select {
		case <-done:
			return
		case dead = <-m.orders:
			if time.Since(born) < shortLife {
				close(dead)
				continue
			}
		case <-end.C:
		}
		m.ledger.Kill(m.kill)
		if dead != nil {
			close(dead)
		}
		m.start()
		born = time.Now()
	}
}

// run sends the messages while the mortal lives and dies.
func (m *mortal) run(t *testing.T, s ordeal.Sender) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute+time.Duration(s.Messages)*200*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	m.live(done)
	<-done
}

// ordealSize says how many messages a scenario has, and the seed of all chance:
// ORDEAL_MESSAGES and ORDEAL_SEED, if they are set.
func ordealSize(t *testing.T, usual int) (messages int, seed uint64) {
	t.Helper()
	messages, seed = usual, rand.Uint64N(1_000_000)
	if testing.Short() {
		messages /= 4
	}
	if text := os.Getenv("ORDEAL_MESSAGES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		messages = n
	}
	if text := os.Getenv("ORDEAL_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("%d messages, ORDEAL_SEED=%d", messages, seed)
	return messages, seed
}

// judge reports what came of the messages.
func judge(t *testing.T, l *ordeal.Ledger, messages int) *ordeal.Judgement {
	t.Helper()
	const most = 20
	j := l.Judge(messages)
	for i, problem := range j.Problems {
		if i == most {
			t.Errorf("and %d problems more", len(j.Problems)-most)
			break
		}
		t.Error(problem)
	}
	t.Log(j)
	return j
}
