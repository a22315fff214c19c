// Package iam writes IAM policies: what a controller must be allowed to do, and no more.
// It needs no SDK. Drivers make policies out of it, and take statements of yours:
//
//	policy, err := fleet.Policy(scope, iam.Allow("Alarms", alarmARNs, cloudwatch.Action))
//
// A [Statement] allows actions on resources. [Allow] makes one for resources that are
// named, [AllowOnAny] one for calls that IAM cannot limit to a resource, and
// [Statement.When] limits one by a condition. [PolicyOf] puts them together, and
// [Policy.String] is the document that IAM takes.
//
// Nothing here denies, and nothing is checked: IAM has the last word on names.
package iam
