package controller

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sarn/internal/api"
)

// slowest is how long one line of a stream may take to leave; then the follower is
// taken for dead.
const slowest = time.Minute

type followInput struct {
	Name string `path:"name" doc:"Name of the node." maxLength:"40" example:"host1"`
	Have string `query:"have" doc:"Fingerprint of the parts that the follower has. If they hold still, the first line does not begin anew." maxLength:"128"`
}

type reportInput struct {
	Name string `path:"name" doc:"Name of the node." maxLength:"40" example:"host1"`
	rawBody
}

// serveNodes serves what agents use.
func (c *Controller) serveNodes(h huma.API) {
	line := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.NodeEvent](), true, "NodeEvent")
	huma.Register(h, huma.Operation{
		OperationID: "follow-node", Method: http.MethodGet, Path: "/v1/nodes/{name}/state", Tags: []string{"agent"},
		Summary:     "Follow a node's wanted state",
		Description: "Streams the node's wanted state, one JSON object a line: at once, and the parts that change whenever it changes. An empty line every 15 s says that the controller is there. A node whose stream is open counts as connected. When the node is deleted, a last line wants nothing of it.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The stream. It ends when the node is deleted or the controller stops.",
			Content:     map[string]*huma.MediaType{"application/x-ndjson": {Schema: line}},
		}},
		Errors: []int{http.StatusNotFound},
	}, func(_ context.Context, in *followInput) (*huma.StreamResponse, error) {
		f, leave, err := c.follow(in.Name, in.Have)
		if err != nil {
			return nil, problem(err)
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer leave()
			ctx.SetHeader("Content-Type", "application/x-ndjson")
			_, w := humago.Unwrap(ctx)
			c.stream(ctx.Context(), w, f)
		}}, nil
	})
	content, describe := bodyOf[api.NodeReport](h, "The report.")
	defer describe()
	huma.Register(h, huma.Operation{
		OperationID: "report-node", Method: http.MethodPut, Path: "/v1/nodes/{name}/report", Tags: []string{"agent"},
		Summary: "Report a node's pass", Description: "Notes what the node's agent says of its last pass.",
		RequestBody: content, SkipValidateBody: true,
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, func(_ context.Context, in *reportInput) (*struct{}, error) {
		report, err := decode[api.NodeReport](in.RawBody, "report")
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
		return nil, problem(c.report(in.Name, report))
	})
}

// stream sends the follower's events until one side ends it.
func (c *Controller) stream(ctx context.Context, w http.ResponseWriter, f *follower) {
	out := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	beat := time.NewTicker(c.heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-f.wake:
			e, last := c.next(f)
			_ = out.SetWriteDeadline(time.Now().Add(slowest)) // a test's recorder has none
			err = lines.Encode(e)
			if last {
				_ = out.Flush()
				return
			}
		case <-beat.C:
			_ = out.SetWriteDeadline(time.Now().Add(slowest))
			_, err = w.Write([]byte("\n"))
		case <-c.stopping:
			return
		case <-ctx.Done():
			return
		}
		if err != nil || out.Flush() != nil {
			return
		}
	}
}
