// Package ec2 deploys to EC2 instances behind load balancers.
package ec2
