"""The Flask application under gevent's server, without an access log."""

from gevent.pywsgi import WSGIServer

from flask_app import app

WSGIServer(("127.0.0.1", 8182), app, log=None).serve_forever()
