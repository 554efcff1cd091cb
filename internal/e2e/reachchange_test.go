package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

// changeAll changes a fabric that runs in every way there is, in random order, and looks
// after each change whether every node is settled. It returns the addresses that nobody
// holds any more.
func (f fabric) changeAll(r *rand.Rand) (left []netip.Addr) {
	f.Helper()
	kinds := []func(*rand.Rand, *intent.World) []string{onePortMore, switchMode, f.toggleNAT, movePort, movePort,
		func(r *rand.Rand, w *intent.World) []string {
			p := pick(r, w.Set().Ports)
			left = append(left, p.Address.Addr)
			return []string{"port", "delete", p.Name}
		},
	}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, draw := range kinds {
		if args := draw(r, f.world()); args != nil {
			f.Logf("sarn %s", strings.Join(args, " "))
			f.sarn(append(args, "--wait")...)
			f.settled()
		}
	}
	return left
}

func onePortMore(r *rand.Rand, w *intent.World) []string {
	return []string{"port", "create", "more", "--subnet", pick(r, w.AllSubnets()).Name, "--node", pick(r, hosts(w))}
}

func switchMode(r *rand.Rand, w *intent.World) []string {
	v := pick(r, w.AllVPCs())
	return []string{"vpc", "mode", v.Name, string(modes[1-slices.Index(modes, v.Mode)])}
}

func movePort(r *rand.Rand, w *intent.World) []string {
	p := pick(r, w.Set().Ports)
	others := slices.DeleteFunc(hosts(w), func(h string) bool { return h == p.Node })
	return []string{"port", "move", p.Name, "--to", pick(r, others)}
}

// toggleNAT gives a subnet NAT, or takes it away, unless the internet has no way back then.
func (f fabric) toggleNAT(r *rand.Rand, w *intent.World) []string {
	if len(w.Nodes)-len(hosts(w)) > 1 {
		return nil
	}
	s := pick(r, w.AllSubnets())
	return []string{"apply", "-f", f.file(fmt.Sprintf("{kind: Subnet, name: %s, vpc: %s, cidr: %s, nat: %v}", s.Name, s.VPC, s.CIDR, !s.NAT))}
}

func hosts(w *intent.World) (names []string) {
	for _, n := range w.AllNodes() {
		if n.Role == intent.RoleHost {
			names = append(names, n.Name)
		}
	}
	return names
}

// settled fails the test unless every node holds what it should, by its agent's word and
// by a second look at its kernel, and no agent ever had to put anything right.
func (f fabric) settled() {
	f.Helper()
	client := f.client()
	all, err := client.Status(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range all {
		if !s.Connected || !s.InSync() || s.Repairs != 0 {
			f.Errorf("%s is not as it should be: %+v", s.Node, s)
		}
		want, err := client.Compiled(f.Context(), s.Node)
		if err != nil {
			f.Fatal(err)
		}
		var k *kernel.Kernel
		f.in(s.Node, func() (err error) {
			k, err = kernel.New(kernel.Config{NetnsDir: filepath.Join(runDir, "labs", f.name, "guests", s.Node)})
			return err
		})
		have, err := k.Read(f.Context(), want.State)
		if err != nil {
			f.Fatal(err)
		}
		ops, err := netstate.Diff(want.State, have)
		if err != nil {
			f.Errorf("%s: %v", s.Node, err)
		}
		for _, op := range ops {
			f.Errorf("%s should still do: %s", s.Node, op.Command())
		}
	}
}

// client talks to the lab's controller.
func (f fabric) client() *api.Client {
	f.Helper()
	client, err := api.New(api.Endpoint{Address: "unix://" + filepath.Join(runDir, "labs", f.name, "api.sock")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	return client
}

// world is what the lab's controller knows.
func (f fabric) world() *intent.World {
	f.Helper()
	client := f.client()
	w := intent.NewWorld()
	for _, k := range intent.Kinds {
		objects, err := client.List(f.Context(), k)
		if err != nil {
			f.Fatal(err)
		}
		for _, o := range objects {
			w.Put(o)
		}
	}
	return w
}
