package main

import (
	_ "embed"
	"net"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

//go:embed demo.yaml
var demoConfig []byte

func newDemo() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try mailweir on loopback, before a sink that prints what arrives",
		Long: `Demo runs a relay with a small chain before a built-in sink, which accepts mail
and prints it. Nothing is stored and nothing leaves the machine.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fail(demo(cmd, listen))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:2525", "`address` to listen on")
	return cmd
}

func demo(cmd *cobra.Command, listen string) error {
	c, err := configs.Parse(standard.Kinds(), "demo.yaml", demoConfig)
	if err != nil {
		return err
	}
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer behind.Close()
	sink := &sink{out: cmd.OutOrStdout()}
	go sink.serve(behind)

	c.Version = versionText()
	c.Listeners[0].Address = listen
	at := behind.Addr().(*net.TCPAddr)
	c.Listeners[0].Upstream.Servers[0].Address = configs.ServerAddress{Host: at.IP.String(), Port: uint16(at.Port)}
	log := newLogger(cmd.ErrOrStderr(), c.Log)
	server, err := proxy.New(c, log)
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(server.Addr("demo").String())
	if err != nil {
		return err
	}
	if err := demoText.Execute(cmd.OutOrStdout(), map[string]string{"Host": host, "Port": port}); err != nil {
		return err
	}
	return (&service{config: c, log: log, server: server}).run()
}

var demoText = template.Must(template.New("demo").Parse(`
mailweir stands on {{.Host}}:{{.Port}} before a sink that prints what arrives here.
Paste into another terminal

  a mail that is accepted:
    printf 'Subject: hello\r\n\r\nIt works.\r\n' | curl -sv smtp://{{.Host}}:{{.Port}}/client.example.org \
      --mail-from alice@example.org --mail-rcpt bob@example.net -T -

  one that is refused, for its recipient's domain is none of ours:
    printf 'Subject: hello\r\n\r\nNo way.\r\n' | curl -sv smtp://{{.Host}}:{{.Port}}/client.example.org \
      --mail-from alice@example.org --mail-rcpt bob@elsewhere.example -T -

  the same with swaks:
    swaks --server {{.Host}}:{{.Port}} --ehlo client.example.org --from alice@example.org --to bob@example.net

Stop with Ctrl-C.

`))
