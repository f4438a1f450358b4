package proxy_test

import (
	"fmt"
	"strings"
)

// A town is what the clients of a test live in: their names and domains, in
// the form of zone files, by zone.
type town map[string]*strings.Builder

const townDomain = "town.test.example"

// newTown makes a town of n good clients.
func newTown(n int) (town, []visitor) {
	z := town{townDomain: {}, "127.in-addr.arpa": {}}
	// A mail host that could be one on the Internet. Nobody connects to it.
	fmt.Fprintf(z[townDomain], "@ MX 10 mx.%[1]s.\nmx A 8.8.8.8\nnull MX 0 .\n", townDomain)
	for i := range 100 { // more than goes into a datagram
		fmt.Fprintf(z[townDomain], "many MX %d mx%d.%s.\nmx%d A 8.8.8.8\n", i, i, townDomain, i)
	}
	var good []visitor
	for i := range n {
		good = append(good, z.settle(i, fmt.Sprintf("house%c%c", 'a'+i/26, 'a'+i%26)))
	}
	return z, good
}

// settle lets a client live at 127.20.0.i.
func (z town) settle(i int, name string) visitor {
	v := visitor{from: fmt.Sprintf("127.20.0.%d", i), helo: name + "." + townDomain, sender: "a@" + townDomain}
	fmt.Fprintf(z[townDomain], "%s A %s\n", name, v.from)
	fmt.Fprintf(z["127.in-addr.arpa"], "%d.0.20 PTR %s.\n", i, v.helo)
	return v
}

// records is all of the town for filtertest.NewZone.
func (z town) records() string {
	var out strings.Builder
	for zone, text := range z {
		for line := range strings.Lines(text.String()) {
			name, rest, _ := strings.Cut(line, " ")
			if name == "@" {
				fmt.Fprintf(&out, "%s. %s", zone, rest)
			} else {
				fmt.Fprintf(&out, "%s.%s. %s", name, zone, rest)
			}
		}
	}
	return out.String()
}

// texts is all of the town for peer.NSD.
func (z town) texts() map[string]string {
	out := map[string]string{}
	for zone, text := range z {
		out[zone] = text.String()
	}
	return out
}
