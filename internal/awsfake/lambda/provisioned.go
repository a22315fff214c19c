package lambda

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func (w *World) getProvisioned(in *lambda.GetProvisionedConcurrencyConfigInput) (*lambda.GetProvisionedConcurrencyConfigOutput, error) {
	f, err := w.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	p := f.provisioned[aws.ToString(in.Qualifier)]
	if p == nil {
		return nil, &types.ProvisionedConcurrencyConfigNotFoundException{Message: aws.String("No Provisioned Concurrency Config found for this function")}
	}
	return &lambda.GetProvisionedConcurrencyConfigOutput{RequestedProvisionedConcurrentExecutions: &p.n, Status: p.status()}, nil
}

func (p *provisioned) status() types.ProvisionedConcurrencyStatusEnum {
	switch {
	case time.Now().Before(p.ready):
		return types.ProvisionedConcurrencyStatusEnumInProgress
	case p.fails:
		return types.ProvisionedConcurrencyStatusEnumFailed
	}
	return types.ProvisionedConcurrencyStatusEnumReady
}

func (w *World) putProvisioned(in *lambda.PutProvisionedConcurrencyConfigInput) (*lambda.PutProvisionedConcurrencyConfigOutput, error) {
	f, err := w.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	q := aws.ToString(in.Qualifier)
	switch a := f.aliases[q]; {
	case a == nil && f.versions[q] == nil:
		return nil, missing("Function not found: %s", ARN(f.name, q))
	case a != nil && len(a.weights) > 0:
		return nil, invalid("Alias with weights can not be used with Provisioned Concurrency")
	}
	fails := f.provisioned[q] != nil && f.provisioned[q].fails
	p := &provisioned{n: aws.ToInt32(in.ProvisionedConcurrentExecutions), ready: time.Now().Add(w.Warm), fails: fails}
	f.provisioned[q] = p
	return &lambda.PutProvisionedConcurrencyConfigOutput{RequestedProvisionedConcurrentExecutions: &p.n, Status: p.status()}, nil
}

func (w *World) deleteProvisioned(in *lambda.DeleteProvisionedConcurrencyConfigInput) (*lambda.DeleteProvisionedConcurrencyConfigOutput, error) {
	f, err := w.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	q := aws.ToString(in.Qualifier)
	if f.provisioned[q] == nil {
		return nil, &types.ProvisionedConcurrencyConfigNotFoundException{Message: aws.String("No Provisioned Concurrency Config found for this function")}
	}
	delete(f.provisioned, q)
	return &lambda.DeleteProvisionedConcurrencyConfigOutput{}, nil
}
