"""The kernel's side of thinking: fair queue, quotas, and the service process."""

from clove.kernel.llm.llm import LLM
from clove.kernel.llm.settings import LLMLimits, LLMSettings

__all__ = ["LLM", "LLMLimits", "LLMSettings"]
