// Package lambda deploys to AWS Lambda: the calls of an alias move from one published
// version of a function to another, all at once, as a canary or part by part.
//
// [Alias] is the [target.Target]. Make it from the AppSpec, and give the same AppSpec
// to the deployment as its revision:
//
//	alias := &lambda.Alias{Client: awslambda.NewFromConfig(cfg), Spec: spec, Hooks: hooks}
//	d := &cutover.Deployment{Group: "checkout", Revision: revision.Dir("."), Target: alias,
//		Strategy: strategy.Lambda{Shift: strategy.Canary(10, 5*time.Minute)}}
//
// Its units are the two versions. CurrentVersion is the original, TargetVersion the
// replacement. BeforeAllowTraffic and AfterAllowTraffic run the functions that the
// AppSpec names, through package function; [Functions] calls those of AWS Lambda.
// [Publish] makes a new version from a zip file, and makes none where nothing changed.
//
// # What it promises
//
//   - Nothing is touched unless the alias leads to CurrentVersion alone and both
//     versions are published: [Alias.Snapshot] looks before the deployment begins.
//   - A weight is written only over what was read: every update carries the alias's
//     revision id. If somebody else has changed the alias, the step says who expected
//     what, and [target.Task.Foreign] says what then.
//   - A weight counts when it was read back twice, the same.
//   - A version gets calls when Lambda says that it is active, and, if it has
//     provisioned concurrency, when that is ready.
//   - Each step is one update of the alias, so its weights are whole at every instant.
//     At the end the alias leads to the new version and has no weights.
//   - The way back is one update to CurrentVersion. It is refused only if that version
//     is gone or has failed.
//
// # What it costs
//
// A deployment makes 12 calls all at once, 17 as a canary and 57 in ten linear parts; of these
// 1, 2 and 10 change something. Each part is a look at the version, one at the alias, the
// update, and two looks that it shows. Between parts nothing is asked; alarms are apart, all of
// them in one call. Package throttle keeps many deployments within what the account may ask.
//
// # What CodeDeploy does otherwise
//
// A deployment that is stopped in the middle leaves two versions behind the alias, as
// with CodeDeploy, and the next one is refused. [Alias.TakeLeftover] starts from there
// instead. Provisioned concurrency on the alias itself allows no weights: Lambda
// refuses them. Shift all at once then, or let [Alias.Provisioned] keep the versions
// warm.
package lambda
