// Package throttle keeps calls of the AWS SDK within the rates that AWS grants.
//
// One [Limits] stands for one account in one process. Attach it to an aws.Config, and
// all clients that are made from that share its buckets of tokens, whatever deployment
// they work for:
//
//	limits := &throttle.Limits{}
//	limits.Attach(&cfg)
//
// Every attempt of a call takes a token before it is sent, retries too. A call that
// finds none waits for one, and no longer than its context may wait: where the deadline
// comes first it fails at once, with code Throttled, and is not sent.
//
// AWS counts in its own way, and others use the account too. So when it refuses a call
// for too many requests, the rate of that family is halved, and comes back in a minute
// without refusals. While it is lowered, waits have some randomness in them, so that
// several processes do not ask in step. The SDK's own retries go on as they do.
//
// [Families] is the table of rates that AWS has published, and of cautious ones where it
// has not. What is not in it, such as invoking a function or reading an object, is
// counted and not held up. [Limits.Counts] says how many calls there were.
package throttle
