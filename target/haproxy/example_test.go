package haproxy_test

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/haproxy"
)

// A host is taken out of HAProxy and put back. Here HAProxy is played by the test.
func ExampleTraffic() {
	ctx := context.Background()
	played := &proxy{servers: []*server{{backend: "web", name: "web-1", full: 1, set: 1}}}
	lb := &haproxy.Traffic{Sockets: []string{"/run/haproxy/admin.sock"}, Dial: played.dial}

	fleet := &target.Fleet{Traffic: lb} // and its hosts
	fmt.Println("balanced:", fleet.Balanced())
	if err := lb.SetWeight(ctx, "web-1", 0); err != nil {
		fmt.Println(err)
	}
	w, err := lb.Weight(ctx, "web-1")
	fmt.Println(w, err)
	fmt.Println(lb.SetWeight(ctx, "web-1", 10))
	// Output:
	// balanced: true
	// 0 <nil>
	// weight 10 of web/web-1 at /run/haproxy/admin.sock cannot be set: it is a percentage of the weight in HAProxy's configuration, which is 1; use one such as 100
}
