"""Runs the cells of a notebook in a kernel that ends with the command, also when it is stopped."""

import asyncio
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from helpers.training.output import progress

OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")  # by a terminal: the states of a progress bar


class StoppableClient(NotebookClient):
    """A client that Ctrl-C and SIGTERM stop. nbclient's own goes on waiting for a dead kernel."""

    stopped = False

    async def async_start_new_kernel(self, **options: Any) -> None:
        """Start the kernel; nbclient has set its signal handlers just before, and ours follow."""
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            # Leaving the task ends the kernel, at once: a training would not hear a request.
            self.stopped = True
            self.shutdown_kernel = "immediate"
            if task is not None:
                task.cancel()

        try:
            loop.add_signal_handler(signal.SIGINT, stop)
            loop.add_signal_handler(signal.SIGTERM, stop)
        except RuntimeError:
            pass  # outside the main thread, and on Windows, where Python's own handler remains
        await super().async_start_new_kernel(**options)


def execute(notebook: Any, name: str, folder: Path, variables: Mapping[str, str]) -> None:
    """Run every cell in a kernel of this environment, with a bar; keep no bar in the outputs.

    ``notebook`` is changed in place. ``name`` stands beside the bar, the kernel works in
    ``folder``, and ``variables`` are its environment. Raises what nbclient raises where a cell
    fails or the kernel dies, and ``KeyboardInterrupt`` where the command is stopped.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    with progress(None, name, total=len(code), unit="cell") as bar:

        def count(cell: Any, **_: Any) -> None:
            if cell.cell_type == "code":
                bar.update()

        client = StoppableClient(
            notebook,
            km=new_kernel(),
            timeout=None,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
            on_cell_executed=count,
        )
        try:
            client.execute(cleanup_kc=True, env=dict(variables))
        except BaseException:
            # nbclient's own error only says that the kernel is gone.
            if client.stopped:
                raise KeyboardInterrupt from None
            raise
        finally:
            for cell in code:
                remove_bars(cell)


def new_kernel() -> AsyncKernelManager:
    """A Python kernel of this environment, not yet started."""
    kernel = AsyncKernelManager(kernel_name="python3")
    # The kernel's name alone may lead to another environment.
    spec = kernel.kernel_spec
    assert spec is not None
    spec.argv[0] = sys.executable
    # jupyter_client 8.10 and newer warn of connections that are not encrypted.
    if kernel.has_trait("transport_encryption"):
        kernel.transport_encryption = "auto"
    return kernel


def remove_bars(cell: Any) -> None:
    """Take the states of progress bars out of a cell's outputs."""
    kept = []
    for output in cell.outputs:
        if output.output_type == "stream":
            output.text = OVERWRITTEN.sub("", output.text)
        # Where there was nothing but a bar, no empty output stays.
        if output.get("text") != "":
            kept.append(output)
    cell.outputs = kept
