"""One swap over many pools: exact Uniswap v2 and v3 arithmetic and the split that pays most after gas."""
