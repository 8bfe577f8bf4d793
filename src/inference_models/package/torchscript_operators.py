"""The operators that code of a TorchScript archive may call, by name.

The list holds what networks are made of, as PyTorch 2.13 names it. What is not on it is left out for one of these
reasons: it reaches files or other processes; it builds tensors from positions, strides or sizes that it does not check
(sparse and nested tensors, names with `unsafe`); it belongs to training, to compilers, or to PyTorch's own tests.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ATEN = _names(
    """
Bool Complex ComplexImplicit Delete Float FloatImplicit Int IntImplicit ScalarImplicit Size __and__ __contains__
__derive_index __getitem__ __interpolate __is__ __isnot__ __lshift__ __not__ __or__ __range_length
__round_to_zero_floordiv __rshift__ __upsample __upsample_bilinear __upsample_nearest __xor__ _adaptive_avg_pool2d
_adaptive_avg_pool3d _add_relu _aminmax _cast_Byte _cast_Char _cast_Double _cast_Float _cast_Half _cast_Int
_cast_Long _cast_Short _convolution _convolution_mode _dim_arange _list_to_tensor _log_softmax _masked_softmax
_native_multi_head_attention _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned _pad_circular _pad_enum
_safe_softmax _scaled_dot_product_attention_math _set_item _shape_as_tensor _softmax _stack _tensor_to_list _to_copy
_transformer_encoder_layer_fwd _trilinear _unique _unique2 _unwrap_optional _upsample_bicubic2d_aa
_upsample_bilinear2d_aa _upsample_lanczos2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
_upsample_nearest_exact3d _weight_norm abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm
addmv addr adjoint affine_grid_generator alias all allclose alpha_dropout amax amin aminmax angle any append arange
arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_strided as_tensor asin asinh
atan atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm bartlett_window
batch_norm bernoulli bilinear bin binary_cross_entropy binary_cross_entropy_with_logits bincount bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman_window block_diag bmm
broadcast_shapes broadcast_tensors broadcast_to bucketize can_cast capitalize cartesian_prod cat cdist ceil celu
center chain_matmul channel_shuffle chr chunk clamp clamp_max clamp_min clear clip clone col2im column_stack
combinations complex concat concatenate conj conj_physical constant_pad_nd contiguous conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copysign cos cosh cosine_similarity count
count_nonzero cpu cross cross_entropy_loss cuda cummax cummin cumprod cumsum data deg2rad degrees dequantize det
detach device diag diag_embed diagflat diagonal dict diff digamma dim dist div divide divmod dot dropout dsplit
dstack einsum element_size elu embedding empty empty_like endswith eq equal erf erfc erfinv exp exp2 expand
expand_as expandtabs expm1 extend eye fabs factorial fake_quantize_per_channel_affine
fake_quantize_per_tensor_affine feature_alpha_dropout feature_dropout fft_fft fft_fft2 fft_fftfreq fft_fftn
fft_fftshift fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_ihfft2 fft_ihfftn
fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill fill_diagonal find fix flatten flip
fliplr flipud float_power floor floor_divide floordiv fmax fmin fmod format frac frexp frobenius_norm full full_like
gamma gather gcd ge gelu ger get get_device glu greater greater_equal grid_sampler grid_sampler_2d grid_sampler_3d
group_norm gru gru_cell gt hamming_window hann_window hardshrink hardsigmoid hardswish hardtanh hash heaviside hex
histc hsplit hstack huber_loss hypot im2col imag index index_add index_copy index_fill index_put index_select
inner insert instance_norm int_repr inverse is_autocast_cpu_enabled is_autocast_enabled is_coalesced
is_complex is_conj is_contiguous is_floating_point is_grad_enabled is_inference is_leaf is_neg is_nonzero
is_same_size is_scripting is_signed isalnum isalpha isclose isdecimal isdigit isfinite isidentifier isin isinf
islower isnan isneginf isnumeric isposinf isprintable isreal isspace istft istitle isupper item items join
kaiser_window keys kl_div kron kthvalue l1_loss layer_norm lcm ldexp le leaky_relu len lerp less less_equal lgamma
lift lift_fresh linalg_cholesky linalg_cross linalg_det linalg_diagonal linalg_eig linalg_eigh linalg_eigvals
linalg_eigvalsh linalg_inv linalg_matmul linalg_matrix_norm linalg_matrix_power linalg_matrix_rank linalg_multi_dot
linalg_norm linalg_pinv linalg_qr linalg_slogdet linalg_solve linalg_svd linalg_svdvals linalg_vecdot
linalg_vector_norm linear linspace list ljust log log10 log1p log2 log_sigmoid log_softmax logaddexp logaddexp2
logcumsumexp logdet logical_and logical_not logical_or logical_xor logit logspace logsumexp lower lstm lstm_cell
lstrip lt mH mT masked_fill masked_scatter masked_select mathremainder matmul matrix_H matrix_exp matrix_power max
max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices
max_unpool2d max_unpool3d maximum mean median meshgrid min minimum mish mm mode modf moveaxis movedim mse_loss msort
mul multinomial multiply mv nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg negative new_empty
new_full new_ones new_zeros nll_loss nll_loss2d nll_loss_nd nonzero nonzero_numpy nonzero_static norm
norm_except_dim normal not_equal nuclear_norm numel numpy_T oct one_hot ones ones_like ord outer pad pad_sequence
pairwise_distance partition pdist percentFormat permute pinverse pixel_shuffle pixel_unshuffle polar pop popitem
positive pow prelu prod promote_types q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale
q_zero_point qr qscheme quantile quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic rad2deg
radians rand rand_like randint randint_like randn randn_like random randperm range ravel real reciprocal
reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder remove renorm repeat repeat_interleave
replace replication_pad1d replication_pad2d replication_pad3d requires_grad reshape reshape_as resize resolve_conj
resolve_neg result_type reverse rfind rindex rjust rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90
round row_stack rpartition rrelu rsplit rsqrt rstrip rsub scalar_tensor scaled_dot_product_attention scatter
scatter_add scatter_reduce searchsorted select select_scatter selu setdefault sgn sigmoid sign signbit silu sin sinc
sinh size slice slice_scatter slogdet smooth_l1_loss softmax softplus softshrink sort sorted special_entr
special_erf special_erfc special_erfinv special_exp2 special_expit special_expm1 special_i0 special_log1p
special_log_softmax special_logit special_logsumexp special_round special_sinc special_softmax special_xlogy split
split_with_sizes splitlines sqrt square squeeze stack startswith std std_mean stft storage_offset str stride strip
sub subtract sum sum_to_size svd swapaxes swapcase swapdims t take take_along_dim tan tanh tensor tensor_split
tensordot threshold tile title to to_padded_tensor topk trace transpose trapezoid trapz tril tril_indices
triu triu_indices true_divide trunc type_as unbind unflatten unfold uniform unique_consecutive unique_dim
unique_dim_consecutive unsqueeze update upper upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d values vander var var_mean vdot view
view_as view_as_complex view_as_real vsplit vstack wait warn where xlogy zero zeros zeros_like zfill
"""
)
"""Each stands for its form that writes in place, too: `relu` for `relu_`."""

OPERATORS = {
    "aten": ATEN,
    "mkldnn_prepacked": frozenset({"conv2d_prepack", "conv2d_run"}),
    "prepacked": _names(
        """
conv2d_clamp_prepack conv2d_clamp_run conv2d_transpose_clamp_prepack conv2d_transpose_clamp_run
linear_clamp_prepack linear_clamp_run unpack_prepacked_sizes_conv2d unpack_prepacked_sizes_linear
"""
    ),
    "prim": _names(
        """
EnumName EnumValue NumToTensor RaiseException StringIndex TupleIndex TupleUnpack Uninitialized abs data device dtype
grad id index is_cpu is_cuda is_mkldnn is_mps is_nested is_quantized is_sparse is_sparse_csr itemsize layout max min
name nbytes rangelist requires_grad tolist type unchecked_cast unchecked_unwrap_optional
"""
    ),
    "profiler": frozenset({"_record_function_enter", "_record_function_enter_new", "_record_function_exit"}),
    "quantized": _names(
        """
add add_relu add_scalar add_scalar_relu batch_norm batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu
batch_norm3d batch_norm3d_relu batch_norm_relu cat cat_relu celu clamp conv1d conv1d_dynamic conv1d_prepack
conv1d_relu conv1d_unpack conv2d conv2d_add conv2d_add_relu conv2d_dilation conv2d_dynamic conv2d_groups
conv2d_output_padding conv2d_padding conv2d_prepack conv2d_relu conv2d_stride conv2d_transpose conv2d_unpack
conv2d_unpack_sizes conv3d conv3d_dilation conv3d_dynamic conv3d_groups conv3d_output_padding conv3d_padding
conv3d_prepack conv3d_relu conv3d_stride conv3d_transpose conv3d_unpack conv_prepack conv_transpose1d
conv_transpose1d_dynamic conv_transpose1d_prepack conv_transpose1d_unpack conv_transpose2d conv_transpose2d_dilation
conv_transpose2d_dynamic conv_transpose2d_groups conv_transpose2d_output_padding conv_transpose2d_padding
conv_transpose2d_prepack conv_transpose2d_stride conv_transpose2d_transpose conv_transpose2d_unpack conv_transpose3d
conv_transpose3d_dilation conv_transpose3d_dynamic conv_transpose3d_groups conv_transpose3d_output_padding
conv_transpose3d_padding conv_transpose3d_prepack conv_transpose3d_stride conv_transpose3d_transpose
conv_transpose3d_unpack conv_unpack dropout elu group_norm hardswish instance_norm layer_norm leaky_relu linear
linear_dynamic linear_dynamic_fp16 linear_leaky_relu linear_prepack linear_prepack_fp16 linear_relu
linear_relu_dynamic linear_relu_dynamic_fp16 linear_tanh linear_unpack linear_unpack_fp16 matmul max_pool1d
max_pool2d mul mul_relu mul_scalar mul_scalar_relu prelu relu6 sigmoid softmax threshold
"""
    ),
    "torchvision": frozenset({"deform_conv2d", "nms", "ps_roi_align", "ps_roi_pool", "roi_align", "roi_pool"}),
}
"""By the namespace that stands between `ops.` and the name."""


def is_computing(name: str) -> bool:
    """Whether PyTorch's own operator `name` is among those that networks are made of."""
    return name in ATEN or (name.endswith("_") and name[:-1] in ATEN)
