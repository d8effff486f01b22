"""MLflow's own tracking server in a thread of the test, which can go away and come back."""

import logging
import os
import sys
import threading
from unittest import mock

from support.servers import free_port
from support.waiting import wait_until

SPOILT = "500 Internal Server Error"


class TrackingServer:
    """Serves a store in a folder, as its ``mode`` says.

    ``pass``; ``cut``: nothing listens; ``error``: each request is answered with status 500;
    ``hang``: nothing is answered until the mode changes, and then what was asked is done.
    """

    def __init__(self, folder):
        from mlflow.server import app, handlers
        from mlflow.server.constants import (
            ARTIFACT_ROOT_ENV_VAR,
            ARTIFACTS_DESTINATION_ENV_VAR,
            BACKEND_STORE_URI_ENV_VAR,
            SERVE_ARTIFACTS_ENV_VAR,
        )

        self._app, self._port = app, free_port()
        self._environment = mock.patch.dict(os.environ, {
            BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{folder}/server.db",
            ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/", SERVE_ARTIFACTS_ENV_VAR: "true",
            ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
        })  # fmt: skip
        # Without its package each request would look for it, and import FastAPI.
        self._no_users = mock.patch.dict(sys.modules, {"mlflow.server.auth": None})
        self._environment.start()
        self._no_users.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
        handlers._tracking_store = handlers._artifact_repo = None
        self._answering, self._held = threading.Event(), []
        self._listening = None
        self._mode = "cut"
        self.mode = "pass"

    @property
    def uri(self):
        return f"http://127.0.0.1:{self._port}"

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        from werkzeug.serving import make_server

        self._mode = mode
        (self._answering.clear if mode == "hang" else self._answering.set)()
        if mode != "hang":
            wait_until(lambda: not self._held)
        if mode == "cut":
            self._listening.shutdown()
            self._listening.server_close()
            self._listening = None
        elif self._listening is None:
            self._listening = make_server("127.0.0.1", self._port, self._serve, threaded=True)
            threading.Thread(
                target=self._listening.serve_forever, args=(0.02,), daemon=True
            ).start()

    def close(self):
        if self._listening is not None:
            self.mode = "cut"
        self._no_users.stop()
        self._environment.stop()

    def _serve(self, environ, start_response):
        if self._mode == "hang":
            return self._hold(environ, start_response)
        if self._mode == "error":
            start_response(SPOILT, [("Content-Length", "0")])
            return [b""]
        return self._app(environ, start_response)

    def _hold(self, environ, start_response):
        self._held.append(environ)
        try:
            self._answering.wait()
            return self._app(environ, start_response)
        finally:
            self._held.remove(environ)
