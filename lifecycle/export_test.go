package lifecycle

// StepMark is for tests that look for what a step left.
var StepMark = stepMark
