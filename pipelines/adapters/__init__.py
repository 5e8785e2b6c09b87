"""What is put on top of a checkpoint from files of its own: LoRA and its kin, textual inversions, and what is told about them.

Only `deltas`, `targets` and `lora` need torch; everything else is read from headers and may be used by the page.
"""
