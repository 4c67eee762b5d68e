"""What runs in a sandbox, or on its way into one. It needs the standard library alone.

`helper` is started by the file's path, and so is `zygote/bootstrap`; neither runs this
package, so that a start reads no more than it needs. `init` is process 1.
"""

__all__: list[str] = []
