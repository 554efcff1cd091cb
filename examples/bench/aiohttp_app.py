"""The same hello with aiohttp, without an access log."""

from aiohttp import web


async def hello(_):
    return web.Response(text="Hello, World!\n")


app = web.Application()
app.add_routes([web.get("/", hello)])
web.run_app(app, host="127.0.0.1", port=8183, access_log=None)
