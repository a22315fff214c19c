package ec2

// HookName is the name of the lifecycle hook that a listener answers.
const HookName = "cutover-launch"
