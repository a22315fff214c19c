// Package ec2 deploys to EC2 instances: chosen by tags or by Auto Scaling group, taken
// out of their load balancers and brought back, reached by Run Command, in place or
// blue/green. Machines elsewhere that Systems Manager manages are deployed to in place.
//
// A [Fleet] is a deployment group, for a deployment's Target:
//
//	fleet := &ec2.Fleet{
//		Selection:   ec2.Selection{Groups: []string{"web"}},
//		Instances:   instances.EC2{Client: awsec2.NewFromConfig(cfg)},
//		AutoScaling: autoscaling.NewFromConfig(cfg),
//		Balancers:   &ec2.Balancers{TargetGroups: []string{"web"}, V2: elasticloadbalancingv2.NewFromConfig(cfg)},
//		Reach:       &ec2.SSM{Client: ssm.NewFromConfig(cfg), Store: ec2.Bucket{Client: s3.NewFromConfig(cfg), Name: "my-bucket"}},
//	}
//
// What it is made of:
//
//   - [Selection]: CodeDeploy's tag groups, Auto Scaling groups, or both. Looked up
//     when a deployment begins. Nothing matched is an error.
//   - [Hybrid]: machines outside of EC2 that have a hybrid activation (mi-…), found by
//     their tags in Systems Manager, alone or in one fleet with instances.
//   - [Balancers]: target groups and classic load balancers, several at once. A host is
//     in traffic when it is healthy in all of them, and out of it when it has drained
//     from all.
//   - [Reach]: the way to the hosts. [SSM] is Systems Manager Run Command: nothing is
//     installed, the program itself is sent and is the agent, built for each platform
//     where there are several. [HostFunc] takes any other, such as onprem.SSH.
//   - [Green]: replacements, for blue/green. The Auto Scaling group is copied, or another
//     fleet that is there already takes over.
//   - [Listener]: deploys the last good revision to instances that Auto Scaling
//     launches, before they are in service.
//   - [Fleet.Policy] and [HostPolicy]: what has to be allowed, and no more.
//
// # What it promises
//
//   - The contract of [target.Target], [target.Traffic] and [target.Pool]; package
//     targettest proves it.
//   - Auto Scaling does not work against a deployment, and is never left suspended:
//     what is suspended is written in a tag of the group first, and [Fleet.Settle],
//     which the engine calls, gives back what the tag says, also in another process.
//   - Whichever call of AWS a controller is cut off at, another one ends the deployment
//     in the same way: a copy takes over completely before its original goes.
//   - What Auto Scaling launches in an original while a blue/green deployment goes on has
//     the old revision: when the deployment has succeeded it has no traffic, and it ends
//     with the group where that ends.
//   - An instance that was just launched is waited for until its SSM agent reports in,
//     for five minutes or [SSM.Arrival].
//   - "Healthy" and "drained" are seen twice in a row; one reading may be older than
//     the change. A host that never gets healthy fails with the load balancer's own
//     reason.
//   - Outcomes come from agents, signed, and not from the status or the output of a
//     command. An answer that is missing or damaged is Unknown, never success.
//   - An instance that is terminated in the middle of a step is noticed in seconds. A
//     machine outside of EC2 may lose its connection and come back: the limits of [SSM]
//     say for how long.
//   - Few calls: 10,000 hosts take 200 commands for each event, and one look per command
//     and poll, whatever the number of hosts. Whether instances are still there is asked
//     for 200 of them at once, every [Fleet.Watch]. Share the rates of your account with
//     package target/throttle.
//
// # What differs from CodeDeploy
//
//   - The copy of a group is given to its load balancers when it takes over, so what it
//     launches later is registered by Auto Scaling itself.
//   - HealthCheck is suspended with the other processes: what it marks unhealthy while a
//     host is out of traffic would be replaced when the deployment is over.
//   - Scaling policies are copied; alarms of your own that lead to a step or simple
//     policy still lead to that of the original. Target tracking makes its own.
//   - Groups whose capacity counts weights instead of instances are not copied.
//   - Instances in Standby, and those that somebody took out of a load balancer by hand,
//     are deployed to as the others are, and get all of their traffic.
//   - There are no termination deployments, and no hosts with Windows.
//
// # What is not there
//
//   - Target groups with targets of type ip or lambda. So machines outside of EC2 are
//     deployed to without load balancers.
//   - Policies for other partitions than aws: in what [Fleet.Policy] makes for China or
//     GovCloud, replace "arn:aws:".
//   - The output of scripts while they run (Deployment.Output): Run Command tells
//     nothing before the end. A failure has the end of the log, the host all of it.
//
// Tools that keep infrastructure as code do not know that a group was replaced by its
// copy. Let them ignore it, or keep the name for the first of the line: copies are
// found by a tag.
package ec2
