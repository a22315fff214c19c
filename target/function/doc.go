// Package function runs the hooks of ECS and Lambda AppSpecs: there, a hook is the
// name of a function that says whether all is well.
//
// [Hooks] runs them for a driver. [Caller] is whoever can call a function: the one
// of package lambda calls functions of AWS Lambda, [Go] calls Go code, [HTTP] posts
// to a web address, and [Names] chooses by name:
//
//	hooks := &function.Hooks{Caller: &function.Names{
//		Named: map[string]function.Caller{"SmokeTest": function.Go(smokeTest)},
//		Else:  &lambda.Functions{Client: client},
//	}}
//
// # How a function answers
//
// It gets what CodeDeploy sends, the deployment's id and the id of this execution,
// and answers in one of three ways:
//
//   - It returns {"hookStatus": "SUCCEEDED"} or "FAILED", as hooks of ECS's own
//     deployments do; or "IN_PROGRESS", and is called again after callBackDelay
//     seconds, with the hookDetails that it returned.
//   - It fails: an error is a failed hook, at once. CodeDeploy waits for an hour.
//   - It calls PutLifecycleEventHookExecutionStatus, as CodeDeploy has it do. Serve
//     [Hooks.Callbacks] at an address that functions reach, and set the endpoint of
//     their CodeDeploy client to it; nothing else in them changes.
//
// What comes first decides. A function that does none of this within the timeout
// has failed. One that could not call back, since there is no [Hooks.Secret], and
// returns no status has failed at once.
//
// # What survives a crash
//
// A function is called once for a step, however often the step is asked for: its
// outcome is kept in the [Ledger], and what waits for a callback or for the next
// call goes on waiting in the next process, until the same moment. The id of an
// execution is made from the step and the secret, so a callback finds its execution
// in any process with that secret. What nobody can say is whether a function did
// its work when its answer was lost. Then a callback may still tell; without
// callbacks, or when none has come in time, the step was interrupted. That is a
// failure, unless the deployment says RerunInterrupted: then it is called again.
package function
