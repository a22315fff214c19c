package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

func (w *World) handle(api *awsfake.API) {
	on(w, api, "GetAlias", w.getAlias)
	on(w, api, "UpdateAlias", w.updateAlias)
	on(w, api, "GetFunctionConfiguration", w.getConfiguration)
	on(w, api, "ListVersionsByFunction", w.listVersions)
	on(w, api, "UpdateFunctionCode", w.updateCode)
	on(w, api, "PublishVersion", w.publishVersion)
	on(w, api, "GetProvisionedConcurrencyConfig", w.getProvisioned)
	on(w, api, "PutProvisionedConcurrencyConfig", w.putProvisioned)
	on(w, api, "DeleteProvisionedConcurrencyConfig", w.deleteProvisioned)
	awsfake.Handle(api, "Lambda", "Invoke", w.invoke)
}

func on[In, Out any](w *World, api *awsfake.API, operation string, f func(*In) (*Out, error)) {
	awsfake.Handle(api, "Lambda", operation, func(_ context.Context, in *In) (*Out, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return f(in)
	})
}

func missing(format string, args ...any) error {
	return &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func invalid(format string, args ...any) error {
	return &types.InvalidParameterValueException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func (w *World) find(name *string) (*function, error) {
	f := w.functions[bare(aws.ToString(name))]
	if f == nil || f.versions == nil {
		return nil, missing("Function not found: %s", ARN(bare(aws.ToString(name)), ""))
	}
	return f, nil
}

func (w *World) findAlias(name, aliasName *string) (*function, *alias, error) {
	f, err := w.find(name)
	if err != nil {
		return nil, nil, err
	}
	a := f.aliases[aws.ToString(aliasName)]
	if a == nil {
		return nil, nil, missing("Cannot find alias arn: %s", ARN(f.name, aws.ToString(aliasName)))
	}
	return f, a, nil
}

func (w *World) getAlias(in *lambda.GetAliasInput) (*lambda.GetAliasOutput, error) {
	f, a, err := w.findAlias(in.FunctionName, in.Name)
	if err != nil {
		return nil, err
	}
	out := lambda.GetAliasOutput{AliasArn: aws.String(ARN(f.name, *in.Name)), Name: in.Name, FunctionVersion: aws.String(a.version), RevisionId: aws.String(a.revision)}
	if shown := a.shown(time.Now()); len(shown) > 0 {
		out.RoutingConfig = &types.AliasRoutingConfiguration{AdditionalVersionWeights: shown}
	}
	return &out, nil
}

func (w *World) updateAlias(in *lambda.UpdateAliasInput) (*lambda.UpdateAliasOutput, error) {
	f, a, err := w.findAlias(in.FunctionName, in.Name)
	if err != nil {
		return nil, err
	}
	if in.RevisionId != nil && *in.RevisionId != a.revision {
		return nil, &types.PreconditionFailedException{Message: aws.String("The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")}
	}
	version, weights := a.version, a.weights
	if in.FunctionVersion != nil {
		version = *in.FunctionVersion
	}
	if in.RoutingConfig != nil && in.RoutingConfig.AdditionalVersionWeights != nil {
		weights = in.RoutingConfig.AdditionalVersionWeights
	}
	if err := f.valid(*in.Name, version, weights); err != nil {
		return nil, err
	}
	if p := f.provisioned[*in.Name]; p != nil && version != a.version {
		a.before, a.until, p.ready = a.version, time.Now().Add(w.Warm), time.Now().Add(w.Warm)
		if p.fails {
			a.until, p.ready = time.Now().Add(1000*time.Hour), time.Now().Add(w.Warm)
		}
	}
	w.route(a, version, weights)
	got, err := w.getAlias(&lambda.GetAliasInput{FunctionName: in.FunctionName, Name: in.Name})
	if err != nil {
		return nil, err
	}
	return &lambda.UpdateAliasOutput{AliasArn: got.AliasArn, Name: got.Name, FunctionVersion: got.FunctionVersion, RevisionId: got.RevisionId, RoutingConfig: got.RoutingConfig}, nil
}

// valid checks where an alias is to lead.
func (f *function) valid(aliasName, version string, weights map[string]float64) error {
	if f.versions[version] == nil {
		return missing("Function not found: %s", ARN(f.name, version))
	}
	if len(weights) > 1 {
		return invalid("Only one additional version is allowed in the routing configuration")
	}
	for v, share := range weights {
		switch {
		case v == version || v == "$LATEST":
			return invalid("Invalid version %s in the routing configuration", v)
		case f.versions[v] == nil:
			return missing("Function not found: %s", ARN(f.name, v))
		case share < 0 || share > 1:
			return invalid("Weight %v is not from 0.0 to 1.0", share)
		case f.provisioned[aliasName] != nil:
			return invalid("Alias with weights can not be used with Provisioned Concurrency")
		}
	}
	return nil
}

func (w *World) getConfiguration(in *lambda.GetFunctionConfigurationInput) (*lambda.GetFunctionConfigurationOutput, error) {
	f, err := w.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	q := aws.ToString(in.Qualifier)
	if a := f.aliases[q]; a != nil {
		q = a.version
	}
	c, v := f.versions[q], q
	if q == "" || q == "$LATEST" {
		c, v = &f.latest, "$LATEST"
	}
	if c == nil {
		return nil, missing("Function not found: %s", ARN(f.name, q))
	}
	s := c.shown(f.name, v)
	return &lambda.GetFunctionConfigurationOutput{FunctionName: s.FunctionName, FunctionArn: s.FunctionArn, Version: s.Version,
		CodeSha256: s.CodeSha256, RevisionId: s.RevisionId, State: s.State, LastUpdateStatus: s.LastUpdateStatus}, nil
}

func (c *config) shown(name, version string) types.FunctionConfiguration {
	out := types.FunctionConfiguration{FunctionName: aws.String(name), FunctionArn: aws.String(ARN(name, version)), Version: aws.String(version),
		CodeSha256: aws.String(c.sha), RevisionId: aws.String(c.revision), State: c.state, LastUpdateStatus: c.status}
	if pending := time.Now().Before(c.ready); pending && version == "$LATEST" {
		out.LastUpdateStatus = types.LastUpdateStatusInProgress
	} else if pending {
		out.State = types.StatePending
	}
	return out
}

func (w *World) listVersions(in *lambda.ListVersionsByFunctionInput) (*lambda.ListVersionsByFunctionOutput, error) {
	f, err := w.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &lambda.ListVersionsByFunctionOutput{Versions: []types.FunctionConfiguration{f.latest.shown(f.name, "$LATEST")}}
	for _, v := range f.list() {
		out.Versions = append(out.Versions, f.versions[v].shown(f.name, v))
	}
	return out, nil
}

func (w *World) idle(f *function, revision *string) error {
	if time.Now().Before(f.latest.ready) {
		return &types.ResourceConflictException{Message: aws.String("The operation cannot be performed at this time. An update is in progress for resource: " + ARN(f.name, ""))}
	}
	if revision != nil && *revision != f.latest.revision {
		return &types.PreconditionFailedException{Message: aws.String("The Revision Id provided does not match the latest Revision Id.")}
	}
	return nil
}

func (w *World) updateCode(in *lambda.UpdateFunctionCodeInput) (*lambda.UpdateFunctionCodeOutput, error) {
	f, err := w.find(in.FunctionName)
	if err == nil {
		err = w.idle(f, in.RevisionId)
	}
	if err != nil {
		return nil, err
	}
	code := in.ZipFile
	if code == nil {
		code = []byte(aws.ToString(in.S3Bucket) + "/" + aws.ToString(in.S3Key) + "@" + aws.ToString(in.S3ObjectVersion))
	}
	f.latest = w.config(Sum(code), w.Settle)
	s := f.latest.shown(f.name, "$LATEST")
	return &lambda.UpdateFunctionCodeOutput{FunctionName: s.FunctionName, Version: s.Version, CodeSha256: s.CodeSha256,
		RevisionId: s.RevisionId, State: s.State, LastUpdateStatus: s.LastUpdateStatus}, nil
}

func (w *World) publishVersion(in *lambda.PublishVersionInput) (*lambda.PublishVersionOutput, error) {
	f, err := w.find(in.FunctionName)
	if err == nil {
		err = w.idle(f, in.RevisionId)
	}
	if err != nil {
		return nil, err
	}
	if in.CodeSha256 != nil && *in.CodeSha256 != f.latest.sha {
		return nil, invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", *in.CodeSha256, f.latest.sha)
	}
	before := f.made
	v := w.publish(f)
	if f.made > before {
		f.versions[v].ready = time.Now().Add(w.Settle)
	}
	s := f.versions[v].shown(f.name, v)
	return &lambda.PublishVersionOutput{FunctionName: s.FunctionName, FunctionArn: s.FunctionArn, Version: s.Version, CodeSha256: s.CodeSha256, RevisionId: s.RevisionId, State: s.State}, nil
}

func (w *World) invoke(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	name := bare(aws.ToString(in.FunctionName))
	w.mu.Lock()
	f := w.functions[name]
	if f == nil || f.code == nil {
		w.mu.Unlock()
		return nil, missing("Function not found: %s", ARN(name, ""))
	}
	if in.InvocationType == types.InvocationTypeDryRun {
		w.mu.Unlock()
		return &lambda.InvokeOutput{StatusCode: 204}, nil
	}
	f.invoked = append(f.invoked, in.Payload)
	code := f.code
	w.mu.Unlock() // the function may look around
	answer, err := code(ctx, in.Payload)
	out := &lambda.InvokeOutput{StatusCode: 200, Payload: answer, ExecutedVersion: aws.String("$LATEST")}
	if in.LogType == types.LogTypeTail {
		out.LogResult = aws.String(base64.StdEncoding.EncodeToString([]byte("END RequestId: fake\n")))
	}
	if err != nil {
		out.FunctionError = aws.String("Unhandled")
		out.Payload, _ = json.Marshal(map[string]string{"errorType": "Error", "errorMessage": err.Error()}) // text always marshals
	}
	return out, nil
}
