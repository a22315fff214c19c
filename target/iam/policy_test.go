package iam_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/target/iam"
)

func TestPolicyCanBeReadBack(t *testing.T) {
	p := iam.PolicyOf(iam.Allow("One", []string{"arn:aws:s3:::b/*"}, "s3:GetObject", "s3:PutObject"), iam.AllowOnAny("All", "ec2:DescribeInstances").When("StringEquals", "a", "b"))
	var read iam.Policy
	require.NoError(t, json.Unmarshal([]byte(p.String()), &read))
	require.Equal(t, p, read)
}

func TestConditionsAddUpAndLeaveTheStatementAlone(t *testing.T) {
	plain := iam.Allow("Pass", []string{"arn:aws:iam::123456789012:role/r"}, "iam:PassRole")
	one := plain.When("StringEquals", "iam:PassedToService", "ecs.amazonaws.com")
	both := one.When("StringEquals", "aws:RequestedRegion", "eu-central-1").When("Bool", "aws:SecureTransport", "true")
	require.Nil(t, plain.Condition)
	require.NotContains(t, iam.PolicyOf(plain).String(), "Condition")
	require.Equal(t, map[string]map[string]string{"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}}, one.Condition)
	require.Equal(t, map[string]map[string]string{
		"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com", "aws:RequestedRegion": "eu-central-1"},
		"Bool":         {"aws:SecureTransport": "true"},
	}, both.Condition)
}
