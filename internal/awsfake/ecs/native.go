package ecs

import (
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// deployment is a service deployment of the ECS controller.
type deployment struct{ types.ServiceDeployment }

func (e *ECS) updateNative(s *service, in *sdk.UpdateServiceInput) (*sdk.UpdateServiceOutput, error) {
	return nil, errors.New("not yet")
}
