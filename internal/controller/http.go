package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

const (
	// maxChange bounds the body of a change: about 100,000 ports.
	maxChange = 32 << 20
	// maxWait bounds how long one request may wait for the nodes.
	maxWait = 10 * time.Minute
)

// handler returns the HTTP API.
func (c *Controller) handler() http.Handler {
	mux := http.NewServeMux()
	conf := huma.DefaultConfig("Sarn", c.cfg.Version)
	conf.Info.Description = "The network of a private cloud: what it should be, and how far its nodes are."
	// Bodies are just the objects, and no page loads scripts from elsewhere.
	conf.CreateHooks, conf.DocsPath, conf.SchemasPath = nil, "", ""
	conf.RejectUnknownQueryParameters = true
	conf.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	h := humago.New(mux, conf)
	serveKind[*intent.Node](c, h, intent.KindNode)
	serveKind[*intent.VPC](c, h, intent.KindVPC)
	serveKind[*intent.Subnet](c, h, intent.KindSubnet)
	serveKind[*intent.Port](c, h, intent.KindPort)
	c.serveChanges(h)
	c.serveStatus(h)
	c.serveNodes(h)
	c.serveIPAM(h)
	c.servePlan(h)
	c.serveCompiled(h)
	c.serveHealth(h)
	return mux
}

// schemaName tells apart what intent and netstate call by the same name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.PkgPath() == reflect.TypeFor[netstate.State]().PkgPath() {
		return "Netstate" + name
	}
	return name
}

type body[T any] struct{ Body T }

type named struct {
	Name string `path:"name" doc:"Name of the object." maxLength:"40" example:"net1"`
}

// serveKind serves what can be asked of every kind of object.
func serveKind[T intent.Object](c *Controller, h huma.API, kind intent.Kind) {
	noun := kind.Noun()
	path := "/v1/" + noun + "s"
	huma.Register(h, huma.Operation{
		OperationID: "list-" + noun + "s", Method: http.MethodGet, Path: path, Tags: []string{noun},
		Summary: "List " + noun + "s", Description: "Returns every " + noun + ", ordered by name.",
	}, func(context.Context, *struct{}) (*body[[]T], error) {
		all := []T{}
		for _, o := range c.list(kind) {
			all = append(all, o.(T))
		}
		return &body[[]T]{all}, nil
	})
	huma.Register(h, huma.Operation{
		OperationID: "get-" + noun, Method: http.MethodGet, Path: path + "/{name}", Tags: []string{noun},
		Summary: "Get a " + noun, Description: "Returns one " + noun + ".",
		Errors: []int{http.StatusNotFound},
	}, func(_ context.Context, in *named) (*body[T], error) {
		ref := intent.Ref{Kind: kind, Name: in.Name}
		o, ok := c.get(ref).(T)
		if !ok {
			return nil, problem(notThere(ref))
		}
		return &body[T]{o}, nil
	})
	huma.Register(h, huma.Operation{
		OperationID: "delete-" + noun, Method: http.MethodDelete, Path: path + "/{name}", Tags: []string{noun},
		Summary: "Delete a " + noun, Description: "Deletes one " + noun + ", unless other objects refer to it. To create and update, and to delete several objects at once, post a change.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *named) (*body[api.Result], error) {
		r, err := c.Change(ctx, api.Change{Delete: []intent.Ref{{Kind: kind, Name: in.Name}}})
		return &body[api.Result]{r}, problem(err)
	})
}

// rawBody is a request's body as it came, for decode.
type rawBody struct {
	RawBody []byte `contentType:"application/json"`
}

// bodyOf describes a body of T that is taken as a rawBody. The function that it returns
// must be called after the operation is registered, which describes it as mere bytes.
func bodyOf[T any](h huma.API, description string) (*huma.RequestBody, func()) {
	t := reflect.TypeFor[T]()
	schema := h.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
	b := &huma.RequestBody{Description: description, Required: true, Content: map[string]*huma.MediaType{}}
	return b, func() { b.Content["application/json"] = &huma.MediaType{Schema: schema} }
}

func (c *Controller) serveChanges(h huma.API) {
	serveChange(h, huma.Operation{
		OperationID: "change", Path: "/v1/changes", Summary: "Change intent",
		Description: "Creates, updates and deletes objects, all of them or none. The change is judged as a whole: the order of its objects does not matter. " +
			"What an update leaves out of an object's allocated fields stays as it is. Each problem names its object and field as kind/name/field.",
	}, c.Change)
}

// serveChange serves, as op says, what takes a change and answers with a T.
func serveChange[T any](h huma.API, op huma.Operation, do func(context.Context, api.Change) (T, error)) {
	content, describe := bodyOf[api.Change](h, "The change.")
	defer describe()
	op.Method, op.Tags, op.RequestBody = http.MethodPost, []string{"change"}, content
	op.MaxBodyBytes, op.BodyReadTimeout, op.SkipValidateBody = maxChange, time.Minute, true
	op.Errors = []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	huma.Register(h, op, func(ctx context.Context, in *rawBody) (*body[T], error) {
		change, err := decode[api.Change](in.RawBody, "change")
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
		answer, err := do(ctx, change)
		return &body[T]{answer}, problem(err)
	})
}

type waitInput struct {
	Revision int64  `query:"revision" doc:"Store revision to wait for, as the result of a change gives it." minimum:"0" example:"42"`
	Timeout  string `query:"timeout" doc:"How long to wait at most, up to 10m." default:"30s" example:"30s"`
}

// lateProblem is the answer when a wait's time ran out.
type lateProblem struct {
	huma.ErrorModel
	Statuses []api.NodeStatus `json:"statuses" doc:"How far each node is." nullable:"false"`
}

func (c *Controller) serveStatus(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "status", Method: http.MethodGet, Path: "/v1/status", Tags: []string{"status"},
		Summary: "How far the nodes are", Description: "Returns for every node what it should hold, what it last applied and verified, and its last error.",
	}, func(context.Context, *struct{}) (*body[[]api.NodeStatus], error) {
		return &body[[]api.NodeStatus]{c.Status()}, nil
	})
	late := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[lateProblem](), true, "LateProblem")
	huma.Register(h, huma.Operation{
		OperationID: "wait", Method: http.MethodGet, Path: "/v1/wait", Tags: []string{"status"},
		Summary: "Wait for the nodes", Description: "Answers when every node has applied and verified what it should hold at the revision.",
		DefaultStatus: http.StatusNoContent,
		Responses: map[string]*huma.Response{"504": {
			Description: "The time ran out first.",
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: late}},
		}},
	}, func(ctx context.Context, in *waitInput) (*struct{}, error) {
		d, err := time.ParseDuration(in.Timeout)
		if err != nil || d < 0 || d > maxWait {
			return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("timeout %q is not a time up to %s; write it like 30s", in.Timeout, maxWait))
		}
		ctx, cancel := c.whileServing(ctx)
		defer cancel()
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
		if err = c.Wait(ctx, in.Revision); err != nil {
			err = context.Cause(ctx)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			p := &lateProblem{Statuses: c.Status()}
			p.Status, p.Title = http.StatusGatewayTimeout, http.StatusText(http.StatusGatewayTimeout)
			p.Detail = fmt.Sprintf("after %s not every node holds revision %d", d, in.Revision)
			return nil, p
		}
		return nil, problem(err)
	})
}

type health struct {
	Revision int64 `json:"revision" doc:"Store revision that the controller has reached."`
}

func (c *Controller) serveHealth(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/healthz", Tags: []string{"status"},
		Summary: "Whether the controller works", Description: "Answers when the controller has loaded the store and serves.",
	}, func(context.Context, *struct{}) (*body[health], error) {
		c.mu.RLock()
		defer c.mu.RUnlock()
		return &body[health]{health{c.revision}}, nil
	})
}

// errStopping says that the controller stops in the middle of a request.
var errStopping = errors.New("the controller is stopping")

// whileServing returns a context that also ends, with errStopping as the cause, when
// the controller stops.
func (c *Controller) whileServing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-c.stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// problem turns an error into an answer in the form of RFC 9457.
func problem(err error) error {
	var refused *Refusal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoNode):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, errReport):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, errStopping):
		return &huma.ErrorModel{
			Type: api.Stopping, Status: http.StatusServiceUnavailable,
			Title: http.StatusText(http.StatusServiceUnavailable), Detail: err.Error(),
		}
	case !errors.As(err, &refused):
		return huma.Error503ServiceUnavailable(err.Error())
	}
	m := &huma.ErrorModel{
		Status: refused.Status, Title: http.StatusText(refused.Status),
		Detail: fmt.Sprintf("the change has %d problems", refused.Total),
	}
	if refused.Total == 1 {
		m.Detail = refused.Problems[0].String()
	}
	for _, p := range refused.Problems {
		m.Errors = append(m.Errors, &huma.ErrorDetail{Message: p.Message, Location: api.Location(p)})
	}
	return m
}

// notThere refuses what is about an object that does not exist.
func notThere(ref intent.Ref) error {
	var f findings
	f.missing(ref, "there is no such %s", ref.Kind.Noun())
	return f.refusal()
}
