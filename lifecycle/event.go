package lifecycle

import "slices"

// Event is a lifecycle event, by CodeDeploy's name. Events that CodeDeploy does
// not know are legal in an AppSpec (local tooling uses them) but no [Walk] has
// them, so they never run by themselves.
type Event string

// The lifecycle events of all platforms, in CodeDeploy's words.
const (
	// Start prepares a unit: the revision is fetched, verified and checked,
	// the install is planned, and nothing of what runs is touched. CodeDeploy
	// shows an event of that name and does nothing in it.
	Start Event = "Start"

	BeforeBlockTraffic Event = "BeforeBlockTraffic"
	BlockTraffic       Event = "BlockTraffic"
	AfterBlockTraffic  Event = "AfterBlockTraffic"
	ApplicationStop    Event = "ApplicationStop"
	DownloadBundle     Event = "DownloadBundle"
	BeforeInstall      Event = "BeforeInstall"
	Install            Event = "Install"
	AfterInstall       Event = "AfterInstall"
	ApplicationStart   Event = "ApplicationStart"
	ValidateService    Event = "ValidateService"
	BeforeAllowTraffic Event = "BeforeAllowTraffic"
	AllowTraffic       Event = "AllowTraffic"
	AfterAllowTraffic  Event = "AfterAllowTraffic"

	// ECS only.
	AllowTestTraffic      Event = "AllowTestTraffic"
	AfterAllowTestTraffic Event = "AfterAllowTestTraffic"

	// Retire ends what blue/green leaves behind: original hosts are terminated
	// (or kept), an original task set is deleted. CodeDeploy does this outside
	// its event list.
	Retire Event = "Retire"

	// Provision makes the replacements of a blue/green deployment, where the target
	// can. It happens once per deployment, and to no unit yet. CodeDeploy does this
	// outside its event list (COPY_AUTO_SCALING_GROUP).
	Provision Event = "Provision"

	// Once per deployment, on the controller and on no unit: the caller's own hooks.
	BeforeDeployment Event = "BeforeDeployment" // before the first unit is touched
	AfterDeployment  Event = "AfterDeployment"  // after the last stage
	BeforeRollback   Event = "BeforeRollback"   // before a rollback touches its first unit
)

// Platform is where a unit runs.
type Platform string

// The platforms.
const (
	Server Platform = "server" // EC2 and on-premises hosts
	ECS    Platform = "ecs"
	Lambda Platform = "lambda"
)

// Walk names the list of events that a unit goes through: one column of
// CodeDeploy's table of which events exist for which kind of deployment.
type Walk string

// The walks. The first eight are the columns of CodeDeploy's availability table
// for EC2 and on-premises hosts, in its order.
const (
	InPlace             Walk = "in-place"             // no load balancer
	InPlaceBalanced     Walk = "in-place-balanced"    // behind a load balancer; also its rollback
	Original            Walk = "original"             // blue/green: hosts that serve now
	Replacement         Walk = "replacement"          // blue/green: hosts that will serve
	RollbackOriginal    Walk = "rollback-original"    // traffic returns to them
	RollbackReplacement Walk = "rollback-replacement" // traffic leaves them
	Launch              Walk = "launch"               // a host that an Auto Scaling group adds
	Termination         Walk = "termination"          // a host that an Auto Scaling group removes
	ECSReplacement      Walk = "ecs-replacement"      // a replacement task set
	LambdaReplacement   Walk = "lambda-replacement"   // a new version behind an alias
)

// walks is the whole of the table: which events, in which order. Nothing else
// in the library decides this.
var walks = map[Walk][]Event{
	InPlace: {Start, ApplicationStop, DownloadBundle, BeforeInstall, Install, AfterInstall,
		ApplicationStart, ValidateService},
	InPlaceBalanced: {Start, BeforeBlockTraffic, BlockTraffic, AfterBlockTraffic, ApplicationStop,
		DownloadBundle, BeforeInstall, Install, AfterInstall, ApplicationStart, ValidateService,
		BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic},
	Original: {BeforeBlockTraffic, BlockTraffic, AfterBlockTraffic},
	Replacement: {Start, ApplicationStop, DownloadBundle, BeforeInstall, Install, AfterInstall,
		ApplicationStart, ValidateService, BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic},
	RollbackOriginal:    {BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic},
	RollbackReplacement: {BeforeBlockTraffic, BlockTraffic, AfterBlockTraffic},
	Launch: {Start, ApplicationStop, DownloadBundle, BeforeInstall, Install, AfterInstall,
		ApplicationStart, ValidateService, BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic},
	Termination: {BeforeBlockTraffic, BlockTraffic, AfterBlockTraffic, ApplicationStop},
	ECSReplacement: {BeforeInstall, Install, AfterInstall, AllowTestTraffic, AfterAllowTestTraffic,
		BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic},
	LambdaReplacement: {BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic},
}

// Events returns the walk's events in order. The slice is the caller's own.
// An unknown walk has none.
func (w Walk) Events() []Event { return slices.Clone(walks[w]) }

// scriptable lists, per platform, the events that an AppSpec may give hooks for,
// in the order in which they run.
var scriptable = map[Platform][]Event{
	Server: {BeforeBlockTraffic, AfterBlockTraffic, ApplicationStop, BeforeInstall, AfterInstall,
		ApplicationStart, ValidateService, BeforeAllowTraffic, AfterAllowTraffic},
	ECS:    {BeforeInstall, AfterInstall, AfterAllowTestTraffic, BeforeAllowTraffic, AfterAllowTraffic},
	Lambda: {BeforeAllowTraffic, AfterAllowTraffic},
}

// Scriptable returns the platform's events that take hooks, in running order.
// The slice is the caller's own.
func (p Platform) Scriptable() []Event { return slices.Clone(scriptable[p]) }

// Takes reports whether hooks for e ever run on the platform.
func (p Platform) Takes(e Event) bool { return slices.Contains(scriptable[p], e) }
