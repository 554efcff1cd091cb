"""The post's application: one page that says hello."""

import logging

from flask import Flask

# Flask's own server writes a line of each request; none of the others does here.
logging.getLogger("werkzeug").setLevel(logging.WARNING)

app = Flask(__name__)


@app.route("/")
def hello():
    return "Hello, World!\n", {"Content-Type": "text/plain; charset=utf-8"}
