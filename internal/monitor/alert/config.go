package alert

// Config is a file of alerts, as it is written. New says what is wrong with it, and Parse
// says on which line.
type Config struct {
	Defaults Defaults `json:"defaults,omitempty"`
	Actions  []Action `json:"actions,omitempty"`
	Rules    []Rule   `json:"rules"`
}

// Defaults stand for what a rule leaves out.
type Defaults struct {
	For      string   `json:"for,omitempty"`
	ClearFor string   `json:"clear_for,omitempty"`
	Actions  []string `json:"actions,omitempty"`
}

// Rule is one thing to watch. Times are such as 90s or 5m; thresholds have the unit of
// the value: 80%, 2GiB, 50MB/s, 1.5.
type Rule struct {
	Name  string            `json:"name"`
	Of    string            `json:"of"`
	Value string            `json:"value"`
	Match map[string]string `json:"match,omitempty"` // field to pattern; all must fit

	When     string `json:"when,omitempty"` // above (or empty) or below
	Careful  string `json:"careful,omitempty"`
	Warning  string `json:"warning,omitempty"`
	Critical string `json:"critical,omitempty"`
	// Severity is the level of a rule that may go without thresholds.
	Severity string `json:"severity,omitempty"`

	For      string `json:"for,omitempty"`
	Clear    string `json:"clear,omitempty"` // of the lowest level; the others keep its proportion
	ClearFor string `json:"clear_for,omitempty"`
	Window   string `json:"window,omitempty"`  // in which restarts are counted
	Missing  string `json:"missing,omitempty"` // hold (or empty), clear or fire

	Message string            `json:"message,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Actions []string          `json:"actions,omitempty"` // instead of the defaults'
}

// Action is a way to tell somebody: exactly one of Log, Webhook, Mail and Exec is given.
type Action struct {
	Name string `json:"name"`
	// On holds fire, change and clear; fire and clear if empty.
	On []string `json:"on,omitempty"`
	// Limit is how often it may fire, such as 60/h.
	Limit string `json:"limit,omitempty"`

	Log     *Log     `json:"log,omitempty"`
	Webhook *Webhook `json:"webhook,omitempty"`
	Mail    *Mail    `json:"mail,omitempty"`
	Exec    *Exec    `json:"exec,omitempty"`
}

// Log writes a line to the program's log.
type Log struct{}

// Webhook posts a Notification as JSON.
type Webhook struct {
	URL string `json:"url,omitempty"`
	// URLFile holds the URL where it is itself a secret.
	URLFile string            `json:"url_file,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// TokenFile and TokenEnv name where the bearer token is.
	TokenFile string `json:"token_file,omitempty"`
	TokenEnv  string `json:"token_env,omitempty"`
	CA        string `json:"ca,omitempty"`      // PEM file: who signs the server's certificate
	Timeout   string `json:"timeout,omitempty"` // of one try
	Tries     int    `json:"tries,omitempty"`
}

// Mail sends a mail by SMTP.
type Mail struct {
	Server       string   `json:"server"` // host:port
	From         string   `json:"from"`
	To           []string `json:"to"`
	User         string   `json:"user,omitempty"`
	PasswordFile string   `json:"password_file,omitempty"`
	PasswordEnv  string   `json:"password_env,omitempty"`
	TLS          string   `json:"tls,omitempty"` // starttls (or empty), tls or none
	CA           string   `json:"ca,omitempty"`
	Timeout      string   `json:"timeout,omitempty"`
	Tries        int      `json:"tries,omitempty"`
}

// Exec runs a program. What there is to say is in its environment and, as JSON, on its
// standard input.
type Exec struct {
	Command []string `json:"command"`
	Timeout string   `json:"timeout,omitempty"`
}
