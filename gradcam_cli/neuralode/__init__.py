"""Neural ordinary differential equations: solvers, the adjoint method, and a Keras layer of them."""
