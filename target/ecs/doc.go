// Package ecs deploys to services of Elastic Container Service the way CodeDeploy does: a
// second task set is made, tried, given traffic step by step, and then the first one is
// deleted.
//
//	service := &ecs.Service{
//		ECS: awsecs.NewFromConfig(cfg), ELB: elasticloadbalancingv2.NewFromConfig(cfg),
//		Cluster: "main", Name: "web", TargetGroups: [2]string{blueARN, greenARN},
//		Production: ecs.Route{listenerARN},
//	}
//	d := &cutover.Deployment{Group: "web", Target: service, Revision: revision.Dir("release"),
//		Strategy: strategy.ECS{Shift: strategy.Canary(10, 5*time.Minute)}}
//
// The revision holds an AppSpec, which names the task definition, the container and its port,
// and functions that try what was deployed ([Hooks]).
//
// # What happens when
//
// The units are the two target groups, by name. The one behind the service's primary task set
// is the original; with every deployment they swap roles.
//
//	Snapshot           everything is checked; listeners, primary task set and auto scaling are
//	                   recorded; nothing is changed
//	Install            auto scaling is suspended, the replacement's group is put behind the
//	                   production listener with weight 0, so that it is health checked, the task
//	                   set is made, and is waited for: its tasks run, ECS calls it steady, and as
//	                   many targets are healthy
//	AllowTestTraffic   the test listener leads to the replacement
//	AllowTraffic       the weight is written, read back, several times the same, and the
//	                   targets are healthy
//	AfterAllowTraffic  behind its function: the replacement becomes the primary task set, and
//	                   auto scaling goes on
//	Retire             the original task set is deleted, once it is seen to have no traffic
//
// A rollback is AllowTraffic on the original, which puts back the recorded actions of the
// listeners first, then the primary task set and auto scaling, and Retire of the replacement.
// Where CodeDeploy makes the new task set the primary one is not documented. Here it comes
// last, since up to then there is nothing to put back but traffic.
//
// # What it guarantees
//
// A step looks at the world and does what is missing. It keeps no books, so any process can
// ask for it again: the task set is found by its external id, which is the deployment's, and
// ECS makes it once for the same token. Only the weights of a forward action are changed, and
// everything beside them is sent back as it was read. What somebody else has changed meanwhile
// fails the step with code ExternalChange, says what was expected and what was found, and
// changes nothing. Task sets that the deployment has not made are not deleted, but for the
// original one. Tasks that end again and again fail Install by their stop reasons, long before
// its deadline.
//
// The functions of the AppSpec are the exception: after a crash in the middle of one it is run
// again, for the same step.
//
// # What it costs
//
// A deployment of two tasks that start in 20 s makes about 50 calls all at once, 60 as a canary and
// 120 in ten linear parts, the test listener and auto scaling included; of these 8 to 17 change
// something. Task sets are looked at every 15 s, all listeners or rules of a route in one call,
// and all targets of a group in one. Package throttle keeps many deployments within what the
// account may ask.
//
// # What it leaves to you
//
// The clients are yours, with all their options; [Service.Policy] says what they must be
// allowed. The first task set of a service, its task definitions and its listeners are made
// elsewhere. If a deployment fails and is not rolled back, things stay as they are, as with
// CodeDeploy; only auto scaling is put back.
//
// Services of the ECS controller deploy themselves. [Native] runs the same deployment there.
package ecs
