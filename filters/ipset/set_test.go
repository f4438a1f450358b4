package ipset_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/mailweir/mailweir/filters/ipset"
)

// A set answers as its networks do one by one, at their edges above all.
func TestSetIsItsNetworks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var nets []ipset.Net
		var addrs []netip.Addr
		for range random.IntN(20) {
			p := randomNet(random)
			nets = append(nets, ipset.Net{Prefix: p})
			last := lastOf(p)
			addrs = append(addrs, p.Addr(), p.Addr().Prev(), last, last.Next(), randomNet(random).Addr())
		}
		set := ipset.Of(nets)
		for _, a := range addrs {
			want := false
			for _, n := range nets {
				want = want || n.Contains(a)
			}
			if got := set.Contains(a); got != want {
				t.Fatalf("%v contains %s: %v", nets, a, got)
			}
		}
	}
}

// randomNet returns one of few networks, so that they lie in each other often.
func randomNet(random *rand.Rand) netip.Prefix {
	if random.IntN(2) == 0 {
		octets := [4]byte{byte(random.IntN(3)) * 127, byte(random.IntN(256)), 0, byte(random.IntN(256))}
		return netip.PrefixFrom(netip.AddrFrom4(octets), random.IntN(33)).Masked()
	}
	octets := [16]byte{0: byte(random.IntN(2)) * 255, 7: byte(random.IntN(256)), 8: byte(random.IntN(256)), 15: byte(random.IntN(256))}
	return netip.PrefixFrom(netip.AddrFrom16(octets), random.IntN(129)).Masked()
}

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	octets := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(octets); i++ {
		octets[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(octets)
	return last
}
