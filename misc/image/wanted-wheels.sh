# Sourced: which wheels the settings ask for.
# shellcheck shell=sh

# The local version label of the official wheels: cpu, cu130 ...
variant() {
    if [ "$USE_CUDA" = 0 ]; then
        echo cpu
    else
        echo "$CUDA_VERSION" | sed -E 's/^([0-9]+)\.([0-9]+).*/cu\1\2/'
    fi
}

# 'name version' for each package whose tag is not empty; a tag is a version with or without its v.
wanted_wheels() {
    if [ -n "$PYTORCH_VERSION_TAG" ]; then echo "torch ${PYTORCH_VERSION_TAG#v}"; fi
    if [ -n "$TORCHVISION_VERSION_TAG" ]; then echo "torchvision ${TORCHVISION_VERSION_TAG#v}"; fi
    if [ -n "$TORCHAUDIO_VERSION_TAG" ]; then echo "torchaudio ${TORCHAUDIO_VERSION_TAG#v}"; fi
    if [ -n "$TORCHTEXT_VERSION_TAG" ]; then echo "torchtext ${TORCHTEXT_VERSION_TAG#v}"; fi
}
