package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// dial connects to an external cluster and waits for its first answer.
func dial(ctx context.Context, c Config) (*Store, error) {
	conf, err := c.tls()
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            c.Endpoints,
		TLS:                  conf,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize:   maxRequestBytes,
		Logger:               zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	ask, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := client.Get(ask, epochKey); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("etcd at %s does not answer; is it running, and do the TLS files fit? %w",
			strings.Join(c.Endpoints, ", "), err)
	}
	return &Store{client: client}, nil
}
