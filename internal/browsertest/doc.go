// Package browsertest shows pages to tests in a headless Chromium (Debian package
// chromium). A test fails when a page reports an error, opens a dialog, or asks another
// server than its own for anything.
package browsertest
